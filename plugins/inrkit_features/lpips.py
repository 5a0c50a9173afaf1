"""The networks that LPIPS compares pictures by (Zhang et al., arXiv:1801.03924), weights from local files.

The convolutions of AlexNet, VGG-16 and SqueezeNet 1.1 with the names of torchvision (``features.0.weight``;
``classifier`` is left out), and optionally the heads that go with the network, one weight for each channel
(``lin0.model.1.weight``). Heads of one network mean nothing for another.
"""

import abc
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self, final

import attrs
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inrkit import DataError, FeatureNetwork
from inrkit_features.weights import WeightsOptions, put, read, tensors_of

_LEAST = 64  # values a side that smaller pictures are enlarged to
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)


@attrs.frozen(kw_only=True)
class LPIPSOptions(WeightsOptions):
    """Which weights, and which heads."""

    heads: str | None = attrs.field(
        default=None,
        metadata={"help": "file with the LPIPS heads of this network; none: all channels count alike", "path": True},
    )


class _Fire(nn.Module):
    """Few channels, then many by convolutions of two sizes."""

    def __init__(self, narrow: int, inner: int, half: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(narrow, inner, 1)
        self.expand1x1 = nn.Conv2d(inner, half, 1)
        self.expand3x3 = nn.Conv2d(inner, half, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.squeeze(x))
        return torch.cat([F.relu(self.expand1x1(x)), F.relu(self.expand3x3(x))], 1)


class LPIPSNetwork(FeatureNetwork):
    """Features are the averaged channels of the last stage."""

    Options = LPIPSOptions
    ends: ClassVar[Sequence[int]]
    """Layers after which a stage ends."""
    widths: ClassVar[Sequence[int]]

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(*self._layers())
        self._heads: Sequence[Tensor] = ()

    @classmethod
    @abc.abstractmethod
    def _layers(cls) -> Sequence[nn.Module]:
        """Convolutions and what stands between them."""

    @classmethod
    def build(cls, options: LPIPSOptions) -> Self:
        path, tensors = read(options, cls.name)
        network = cls()
        put(network, {k: v for k, v in tensors.items() if not k.startswith("classifier.")}, path, cls.name)
        if options.heads is not None:
            network._heads = cls._read_heads(Path(options.heads).expanduser())
        return network

    @classmethod
    def _read_heads(cls, path: Path) -> Sequence[Tensor]:
        found = tensors_of(path, f"heads of {cls.name}")
        heads = [found.get(f"lin{i}.model.1.weight", torch.empty(0)).flatten() for i in range(len(cls.widths))]
        if [len(head) for head in heads] != [*cls.widths] or len(found) != len(heads):
            shapes = ", ".join(str(tensor.numel()) for _, tensor in sorted(found.items()))
            wanted = ", ".join(map(str, cls.widths))
            raise DataError(f"{path}: expected heads of '{cls.name}' with {wanted} channels, found {shapes}")
        return [head.view(-1, 1, 1) for head in heads]

    @property
    def dim(self) -> int:
        return self.widths[-1]

    @property
    def heads(self) -> Sequence[Tensor]:
        return self._heads

    def stages(self, values: Tensor) -> Sequence[Tensor]:
        shift, scale = (torch.tensor(numbers).to(values).view(3, 1, 1) for numbers in (_SHIFT, _SCALE))
        if (least := min(values.shape[2:])) < _LEAST:
            size = [round(side * _LEAST / least) for side in values.shape[2:]]
            values = F.interpolate(values, size, mode="bilinear", align_corners=False)
        x, found = (values - shift) / scale, []
        for i, layer in enumerate(self.features):
            x = layer(x)
            if i in self.ends:
                found.append(x)
        return found

    def forward(self, values: Tensor) -> Tensor:
        return self.stages(values)[-1].mean((2, 3))


def _rectified(*shape: int, stride: int = 1) -> list[nn.Module]:
    narrow, wide, size = shape
    padding = 2 if size > 3 else 1
    return [nn.Conv2d(narrow, wide, size, stride, padding), nn.ReLU()]


@final
class AlexNet(LPIPSNetwork):
    """Five stages."""

    name, widths, ends = "alexnet", (64, 192, 384, 256, 256), (1, 4, 7, 9, 11)

    @classmethod
    def _layers(cls) -> Sequence[nn.Module]:
        first = [*_rectified(3, 64, 11, stride=4), nn.MaxPool2d(3, 2), *_rectified(64, 192, 5), nn.MaxPool2d(3, 2)]
        return [*first, *_rectified(192, 384, 3), *_rectified(384, 256, 3), *_rectified(256, 256, 3)]


@final
class VGG16(LPIPSNetwork):
    """Five stages."""

    name, widths, ends = "vgg16", (64, 128, 256, 512, 512), (3, 8, 15, 22, 29)

    @classmethod
    def _layers(cls) -> Sequence[nn.Module]:
        layers, narrow = [], 3
        for stage, wide in enumerate(cls.widths):
            for _ in range(2 if stage < 2 else 3):
                layers += _rectified(narrow, wide, 3)
                narrow = wide
            layers.append(nn.MaxPool2d(2))
        return layers[:-1]


@final
class SqueezeNet(LPIPSNetwork):
    """Seven stages."""

    name, widths, ends = "squeezenet", (64, 128, 256, 384, 384, 512, 512), (1, 4, 7, 9, 10, 11, 12)

    @classmethod
    def _layers(cls) -> Sequence[nn.Module]:
        def halve() -> nn.Module:
            return nn.MaxPool2d(3, 2, ceil_mode=True)

        first: list[nn.Module] = [nn.Conv2d(3, 64, 3, 2), nn.ReLU(), halve(), _Fire(64, 16, 64), _Fire(128, 16, 64)]
        second = [halve(), _Fire(128, 32, 128), _Fire(256, 32, 128), halve(), _Fire(256, 48, 192)]
        return [*first, *second, _Fire(384, 48, 192), _Fire(384, 64, 256), _Fire(512, 64, 256)]
