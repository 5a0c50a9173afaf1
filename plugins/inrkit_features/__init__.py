"""Networks whose features sets of images are compared by, with weights from files of the user.

inrkit evaluate runs/first --features resnet20 --weights resnet20.safetensors
"""

import inrkit

INRKIT_API = 1


@inrkit.hookimpl
def register_features(register: inrkit.Register) -> None:
    classifier = "classifier of images of 32 x 32, with weights from a local file: features, classes"
    register("resnet20", "inrkit_features.resnet:ResNet20", f"ResNet-20, {classifier}")
    register("resnet56", "inrkit_features.resnet:ResNet56", f"ResNet-56, {classifier}")
