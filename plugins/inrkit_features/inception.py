"""Inception-v3 as it is used for the Fréchet inception distance (FID), weights from a local file.

Szegedy et al., arXiv:1512.00567, with the three departures of the network that FIDs are computed with: averages leave
padding out, the last block takes a maximum, and there are 1008 classes. Names are those of torchvision and pytorch-fid
(``Mixed_5b.branch1x1.conv.weight``).
"""

from collections.abc import Mapping, Sequence
from typing import Literal, Self, TypeAlias, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inrkit import Classifier
from inrkit_features.weights import WeightsOptions, put, read

_SIZE = (299, 299)
_Kernel: TypeAlias = int | tuple[int, int]
_Chain: TypeAlias = Sequence[tuple[int, _Kernel]]  # channels and kernel of each convolution


class _Conv(nn.Module):
    """A convolution, normalised and rectified."""

    def __init__(self, narrow: int, wide: int, kernel: _Kernel, stride: int = 1, padding: _Kernel = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(narrow, wide, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(wide, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


class _Mixed(nn.Module):
    """Chains of convolutions of the same input, and a pooled one, beside each other.

    A chain named in ``forked`` ends in a pair of convolutions, (1, 3) and (3, 1), of the same input.
    """

    def __init__(
        self,
        narrow: int,
        chains: Mapping[str, _Chain],
        pool: Literal["mean", "max", "halve"],
        pooled: int = 0,
        forked: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__()
        self.pool, self.order = pool, []
        for name, chain in chains.items():
            numbered = len(chain) > 1 or name in (forked or {})
            names, before = [], narrow
            for i, (wide, kernel) in enumerate(chain, 1):
                halves = pool == "halve" and i == len(chain)
                padding = (
                    0 if halves else (kernel // 2 if isinstance(kernel, int) else (kernel[0] // 2, kernel[1] // 2))
                )
                names.append(f"{name}_{i}" if numbered else name)
                self.add_module(names[-1], _Conv(before, wide, kernel, 1 + halves, padding))
                before = wide
            if wide := (forked or {}).get(name, 0):
                stem = f"{name}_{len(chain) + 1}"
                self.add_module(f"{stem}a", _Conv(before, wide, (1, 3), padding=(0, 1)))
                self.add_module(f"{stem}b", _Conv(before, wide, (3, 1), padding=(1, 0)))
                names.append(stem)
            self.order.append(names)
        self.branch_pool = _Conv(narrow, pooled, 1) if pooled else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        found = []
        for names in self.order:
            y = x
            for name in names:
                ends = [name] if hasattr(self, name) else [f"{name}a", f"{name}b"]
                y = torch.cat([self.get_submodule(end)(y) for end in ends], 1)
            found.append(y)
        if self.pool == "mean":
            rest = F.avg_pool2d(x, 3, 1, padding=1, count_include_pad=False)
        else:
            rest = F.max_pool2d(x, 3, 2) if self.pool == "halve" else F.max_pool2d(x, 3, 1, padding=1)
        return torch.cat([*found, self.branch_pool(rest)], 1)


def _five(narrow: int, pooled: int) -> _Mixed:
    chains: dict[str, _Chain] = {
        "branch1x1": [(64, 1)],
        "branch5x5": [(48, 1), (64, 5)],
        "branch3x3dbl": [(64, 1), (96, 3), (96, 3)],
    }
    return _Mixed(narrow, chains, "mean", pooled)


def _seven(inner: int) -> _Mixed:
    flat, tall = (1, 7), (7, 1)
    double: _Chain = [(inner, 1), (inner, tall), (inner, flat), (inner, tall), (192, flat)]
    chains: dict[str, _Chain] = {
        "branch1x1": [(192, 1)],
        "branch7x7": [(inner, 1), (inner, flat), (192, tall)],
        "branch7x7dbl": double,
    }
    return _Mixed(768, chains, "mean", 192)


def _wide(narrow: int, pool: Literal["mean", "max"]) -> _Mixed:
    chains: dict[str, _Chain] = {"branch1x1": [(320, 1)], "branch3x3": [(384, 1)], "branch3x3dbl": [(448, 1), (384, 3)]}
    return _Mixed(narrow, chains, pool, 192, {"branch3x3": 384, "branch3x3dbl": 384})


def _blocks() -> dict[str, nn.Module]:
    last: _Chain = [(192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3)]
    return {
        "Conv2d_1a_3x3": _Conv(3, 32, 3, 2),
        "Conv2d_2a_3x3": _Conv(32, 32, 3),
        "Conv2d_2b_3x3": _Conv(32, 64, 3, padding=1),
        "maxpool1": nn.MaxPool2d(3, 2),
        "Conv2d_3b_1x1": _Conv(64, 80, 1),
        "Conv2d_4a_3x3": _Conv(80, 192, 3),
        "maxpool2": nn.MaxPool2d(3, 2),
        "Mixed_5b": _five(192, 32),
        "Mixed_5c": _five(256, 64),
        "Mixed_5d": _five(288, 64),
        "Mixed_6a": _Mixed(288, {"branch3x3": [(384, 3)], "branch3x3dbl": [(64, 1), (96, 3), (96, 3)]}, "halve"),
        "Mixed_6b": _seven(128),
        "Mixed_6c": _seven(160),
        "Mixed_6d": _seven(160),
        "Mixed_6e": _seven(192),
        "Mixed_7a": _Mixed(768, {"branch3x3": [(192, 1), (320, 3)], "branch7x7x3": last}, "halve"),
        "Mixed_7b": _wide(1280, "mean"),
        "Mixed_7c": _wide(2048, "max"),
    }


@final
class Inception(Classifier):
    """Features are the 2048 averaged channels before the last layer ("pool3"), of images as FIDs take them: rounded to
    8 bits, enlarged to 299 x 299 by bilinear interpolation that aligns no corners, on [-1, 1]."""

    name = "inception"
    Options = WeightsOptions

    def __init__(self, classes: int = 1008) -> None:
        super().__init__()
        for name, block in _blocks().items():
            self.add_module(name, block)
        self.fc = nn.Linear(2048, classes)

    @classmethod
    def build(cls, options: WeightsOptions) -> Self:
        path, tensors = read(options, cls.name)
        tensors = {key: tensor for key, tensor in tensors.items() if not key.startswith("AuxLogits.")}
        network = cls(len(tensors.get("fc.bias", range(1008))))
        put(network, tensors, path, cls.name)
        return network

    @property
    def dim(self) -> int:
        return 2048

    def forward(self, values: Tensor) -> Tensor:
        x = ((values + 1) * 127.5).round().clamp(0, 255) / 127.5 - 1
        x = F.interpolate(x, _SIZE, mode="bilinear", align_corners=False)
        for name, block in self.named_children():
            x = x if name == "fc" else block(x)
        return x.mean((2, 3))

    def logits(self, features: Tensor) -> Tensor:
        scores: Tensor = self.fc(features)
        return scores
