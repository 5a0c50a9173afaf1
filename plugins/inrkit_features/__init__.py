"""Networks whose features sets of images are compared by, with weights from files of the user.

inrkit evaluate runs/first --features resnet20 --set weights=resnet20.safetensors
"""

import inrkit

INRKIT_API = 1


@inrkit.hookimpl
def register_features(register: inrkit.Register) -> None:
    register("resnet20", "inrkit_features.resnet:ResNet20", "a CIFAR-10 classifier, with weights from a local file")
