"""ResNet-20 for images of 32 x 32 (He et al., arXiv:1512.03385, section 4.2), with weights from a local file.

Its names are those of common PyTorch checkpoints (``conv1``, ``layer2.0.downsample.0``, ``fc``). A checkpoint is made a
safetensors file by whoever trusts it:

    import torch
    from safetensors.torch import save_file

    save_file(torch.load("resnet20.pt", weights_only=True), "resnet20.safetensors")
"""

import hashlib
from pathlib import Path
from typing import Self, final

import attrs
import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn
from torch.nn import functional as F

from inrkit import DataError, FeatureNetwork, UsageError, option

_SIZE = (32, 32)
_WIDTHS = (16, 32, 64)
_MEAN, _STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)  # of CIFAR-10's training images in [0, 1]


@attrs.frozen(kw_only=True)
class ResNetOptions:
    """Which weights."""

    weights: str | None = option(None, "safetensors file with the weights of a ResNet-20 (required)")
    sha256: str | None = option(None, "SHA-256 that the file must have; none: not checked")


class _Block(nn.Module):
    """x + two convolutions of x, the first of which may halve the resolution."""

    def __init__(self, narrow: int, wide: int) -> None:
        super().__init__()
        stride = wide // narrow
        self.conv1 = nn.Conv2d(narrow, wide, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(wide)
        self.conv2 = nn.Conv2d(wide, wide, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(wide)
        shortcut = nn.Sequential(nn.Conv2d(narrow, wide, 1, stride, bias=False), nn.BatchNorm2d(wide))
        self.downsample = shortcut if stride > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        inner = F.relu(self.bn1(self.conv1(x)))
        added: Tensor = self.bn2(self.conv2(inner)) + self.downsample(x)
        return F.relu(added)


@final
class ResNet20(FeatureNetwork):
    """The 64 averaged channels before the last layer, of images resized to 32 x 32."""

    name = "resnet20"
    Options = ResNetOptions

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        for number, (narrow, wide) in enumerate(zip((16, *_WIDTHS), _WIDTHS, strict=False), 1):
            blocks = [_Block(narrow, wide), _Block(wide, wide), _Block(wide, wide)]
            self.add_module(f"layer{number}", nn.Sequential(*blocks))
        self.fc = nn.Linear(64, 10)  # not used for features, but part of every checkpoint

    @classmethod
    def build(cls, options: ResNetOptions) -> Self:
        if options.weights is None:
            raise UsageError("'resnet20' needs the file of its weights; give '--set weights=FILE.safetensors'")
        path, network = Path(options.weights).expanduser(), cls()
        try:
            data = path.read_bytes()
        except OSError as error:
            raise DataError(f"{path}: expected the weights of a ResNet-20, found {error.strerror}") from error
        found = hashlib.sha256(data).hexdigest()
        if options.sha256 not in (None, found):
            raise DataError(f"{path}: expected sha256 {options.sha256}, found {found}; these are other weights")
        try:
            network.load_state_dict(load(data))
        except (SafetensorError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise DataError(f"{path}: expected a safetensors file with a ResNet-20, found: {reason}") from error
        return network.eval().requires_grad_(False)

    @property
    def dim(self) -> int:
        return _WIDTHS[-1]

    def forward(self, values: Tensor) -> Tensor:
        if values.shape[2:] != _SIZE:
            values = F.interpolate(values, _SIZE, mode="bilinear", antialias=True, align_corners=False)
        mean, std = (torch.tensor(numbers).to(values).view(3, 1, 1) for numbers in (_MEAN, _STD))
        x = F.relu(self.bn1(self.conv1(((values + 1) / 2 - mean) / std)))
        for number in range(1, 4):
            x = self.get_submodule(f"layer{number}")(x)
        return x.mean((2, 3))
