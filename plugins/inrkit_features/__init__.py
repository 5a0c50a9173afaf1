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
    register("mobilenet", "inrkit_features.mobilenet:MobileNet", "MobileNet-v1 with weights in Keras' names: classes")
    inception = "Inception-v3 with the preprocessing of FIDs, with weights from a local file"
    register("inception", "inrkit_features.inception:Inception", inception)
    lpips = "with weights and LPIPS heads from local files: how different two pictures look"
    register("alexnet", "inrkit_features.lpips:AlexNet", f"AlexNet {lpips}")
    register("vgg16", "inrkit_features.lpips:VGG16", f"VGG-16 {lpips}")
    register("squeezenet", "inrkit_features.lpips:SqueezeNet", f"SqueezeNet 1.1 {lpips}")
