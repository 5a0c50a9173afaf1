"""ResNet-20 and ResNet-56 for images of 32 x 32 (He et al., arXiv:1512.03385, section 4.2), weights from a local file.

Names are those of common PyTorch checkpoints (``conv1``, ``layer2.0.conv1``, ``fc`` or ``linear``, with or without
``module.`` in front). Shortcuts have weights (``layer2.0.downsample.0``) if the file has some, else they take every
second pixel and fill new channels with zeros, as the paper does. The number of classes and channels is the file's. So
are ``mean`` and ``std`` of the images in [0, 1], if the file has tensors of these names; otherwise they are those that
checkpoints of the two kinds were trained with, CIFAR-10's and ImageNet's.
"""

from collections.abc import Sequence
from typing import ClassVar, Self, TypeAlias, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inrkit import Classifier, DataError
from inrkit_features.weights import WeightsOptions, put, read

_SIZE = (32, 32)
_WIDTHS = (16, 32, 64)
_Numbers: TypeAlias = tuple[tuple[float, ...], tuple[float, ...]]
_GREY: _Numbers = (0.5,), (0.5,)
_CIFAR: _Numbers = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
_IMAGENET: _Numbers = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class _Block(nn.Module):
    """x + two convolutions of x, the first of which may halve the resolution."""

    def __init__(self, narrow: int, wide: int, projected: bool) -> None:
        super().__init__()
        stride = wide // narrow
        self.conv1 = nn.Conv2d(narrow, wide, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(wide)
        self.conv2 = nn.Conv2d(wide, wide, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(wide)
        self.downsample: nn.Module = nn.Identity()
        if stride > 1:
            shortcut = nn.Sequential(nn.Conv2d(narrow, wide, 1, stride, bias=False), nn.BatchNorm2d(wide))
            self.downsample = shortcut if projected else _Padded(wide - narrow)

    def forward(self, x: Tensor) -> Tensor:
        inner = F.relu(self.bn1(self.conv1(x)))
        added: Tensor = self.bn2(self.conv2(inner)) + self.downsample(x)
        return F.relu(added)


class _Padded(nn.Module):
    """Every second pixel, with channels of zeros on both sides."""

    def __init__(self, more: int) -> None:
        super().__init__()
        self.more = more

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.more // 2, self.more - self.more // 2))


class ResNet(Classifier):
    """Features are the 64 averaged channels before the last layer, of images resized to 32 x 32."""

    Options = WeightsOptions
    depth: ClassVar[int]
    mean: Tensor
    std: Tensor

    def __init__(self, *, channels: int = 3, classes: int = 10, projected: bool = True) -> None:
        super().__init__()
        mean, std = _GREY if channels == 1 else _CIFAR if projected else _IMAGENET
        self.register_buffer("mean", torch.tensor(mean))
        self.register_buffer("std", torch.tensor(std))
        self.conv1 = nn.Conv2d(channels, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        for number, (narrow, wide) in enumerate(zip((16, *_WIDTHS), _WIDTHS, strict=False), 1):
            blocks = [_Block(narrow if i == 0 else wide, wide, projected) for i in range((self.depth - 2) // 6)]
            self.add_module(f"layer{number}", nn.Sequential(*blocks))
        self.fc = nn.Linear(_WIDTHS[-1], classes)

    @classmethod
    def build(cls, options: WeightsOptions) -> Self:
        path, tensors = read(options, cls.name)
        tensors = {k.removeprefix("module.").replace("linear.", "fc."): v for k, v in tensors.items()}
        blocks = sum(key.startswith("layer1.") and key.endswith(".conv1.weight") for key in tensors)
        first, last = tensors.get("conv1.weight"), tensors.get("fc.weight")
        if first is None or last is None or first.ndim != 4 or first.shape[1] not in (1, 3) or last.ndim != 2:
            names = ", ".join(sorted(tensors)[:3]) or "no tensor"
            raise DataError(f"{path}: expected weights of '{cls.name}' for 1 or 3 channels, found {names}, ...")
        if 6 * blocks + 2 != cls.depth:
            raise DataError(f"{path}: expected weights of '{cls.name}', found those of a ResNet-{6 * blocks + 2}")
        projected = any(".downsample." in key for key in tensors)
        network = cls(channels=first.shape[1], classes=len(last), projected=projected)
        put(network, {"mean": network.mean, "std": network.std} | tensors, path, cls.name)
        return network

    @property
    def dim(self) -> int:
        return _WIDTHS[-1]

    def stages(self, values: Tensor) -> Sequence[Tensor]:
        if values.shape[2:] != _SIZE:
            values = F.interpolate(values, _SIZE, mode="bilinear", antialias=True, align_corners=False)
        if self.conv1.in_channels == 1:
            values = values.mean(1, keepdim=True)
        normal = ((values + 1) / 2 - self.mean.view(-1, 1, 1)) / self.std.view(-1, 1, 1)
        found = [F.relu(self.bn1(self.conv1(normal)))]
        for number in range(1, 4):
            found.append(self.get_submodule(f"layer{number}")(found[-1]))
        return found

    def forward(self, values: Tensor) -> Tensor:
        return self.stages(values)[-1].mean((2, 3))

    def logits(self, features: Tensor) -> Tensor:
        scores: Tensor = self.fc(features)
        return scores


@final
class ResNet20(ResNet):
    """Three blocks in each stage."""

    name, depth = "resnet20", 20


@final
class ResNet56(ResNet):
    """Nine blocks in each stage."""

    name, depth = "resnet56", 56
