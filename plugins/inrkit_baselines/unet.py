"""The DDPM++ U-Net (arXiv:2011.13456): residual convolutions, down to coarse scales and up again."""

import math
from collections.abc import Mapping
from typing import Any, final

import attrs
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inrkit import Attention, Condition, Level, Observation, Params, SharedDropout, full_precision, option
from inrkit_baselines.shape import CONVOLUTIONS, GridDenoiser, GridShape

# Channels beside each other in memory: there convolutions of several axes read them at full speed.
_LAYOUTS = {4: torch.channels_last, 5: torch.channels_last_3d}
_POOLS: Mapping[int, Any] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
_TRANSPOSED: Mapping[int, Any] = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


@attrs.frozen
class UNetOptions:
    """Options of the denoiser ``unet``; the papers' CIFAR-10 model has width 128, multipliers 2 2 2 and 4 blocks."""

    width: int = option(64, "channels at the highest resolution, a multiple of 4")
    multipliers: tuple[int, ...] = option((1, 2, 2), "channel multipliers, one per resolution from fine to coarse")
    blocks: int = option(2, "residual blocks at each resolution")
    attention: tuple[int, ...] = option((16,), "resolutions (longest side) at which the blocks have self-attention")
    dropout: float = option(0.0, "dropout probability in the residual blocks")
    fourier: float = option(
        0.0, "scale of the random frequencies that embed the noise level (CM: 16, iCT: 0.02); 0: sinusoids, as in ECT"
    )


@final
class UNet(GridDenoiser):
    """Residual blocks modulated by noise level and class, group norms, attention at coarse scales; for 1 to 3 axes.

    It also runs at another size than that of training, on params of that size, though nothing taught it what to make
    there.
    """

    Options = UNetOptions

    def __init__(self, options: UNetOptions, shape: GridShape, classes: int = 0) -> None:
        super().__init__(options, shape)
        o, axes = options, len(shape.size)
        self.condition = Condition(4 * o.width, classes, o.fourier)

        def residual(entering: int, width: int, *, attends: bool) -> Residual:
            return Residual(axes, entering, width, 4 * o.width, o.dropout, attends=attends)

        self.first = _convolution(axes, shape.channels, o.width)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        width, skips, side = o.width, [o.width], max(shape.size)
        for level, multiplier in enumerate(o.multipliers):
            if level:
                self.down.append(Resize(axes, width, up=False))
                skips.append(width)
                side //= 2
            for _ in range(o.blocks):
                self.down.append(residual(width, multiplier * o.width, attends=side in o.attention))
                width = multiplier * o.width
                skips.append(width)
        self.middle = nn.ModuleList(residual(width, width, attends=attends) for attends in (True, False))
        for level, multiplier in reversed(list(enumerate(o.multipliers))):
            for _ in range(o.blocks + 1):
                self.up.append(residual(width + skips.pop(), multiplier * o.width, attends=side in o.attention))
                width = multiplier * o.width
            if level:
                self.up.append(Resize(axes, width, up=True))
                side *= 2
        self.norm = _norm(width)
        self.last = _convolution(axes, width, shape.outputs, scale=0)

    @staticmethod
    def divisor(options: UNetOptions) -> int:
        return 1 << (len(options.multipliers) - 1)

    def forward(self, observation: Observation, level: Level, label: Tensor | None = None) -> Params:
        condition = F.silu(self.condition(level, label, observation.augmentation))
        values = observation.values.float()
        with full_precision(values.device):
            x = self.first(values.contiguous(memory_format=_LAYOUTS.get(values.ndim, torch.contiguous_format)))
        skips = [x]
        for block in self.down:
            x = block(x, condition)
            skips.append(x)
        for block in self.middle:
            x = block(x, condition)
        for block in self.up:
            x = block(torch.cat([x, skips.pop()], 1) if isinstance(block, Residual) else x, condition)
        with full_precision(x.device):
            return {self.name: self.last(F.silu(self.norm(x.float())))}


@final
class Residual(nn.Module):
    """Norm, convolve, norm, scale and shift, drop out, convolve; added to what came in; then attention if any.

    Sums are divided by sqrt(2), so that their variance stays (DDPM++).
    """

    def __init__(self, axes: int, entering: int, width: int, embedding: int, dropout: float, *, attends: bool) -> None:
        super().__init__()
        self.norm0, self.norm1 = _norm(entering), _norm(width)
        self.conv0 = _convolution(axes, entering, width)
        self.conv1 = _convolution(axes, width, width, scale=0)
        self.modulation = nn.Linear(embedding, 2 * width)
        nn.init.zeros_(self.modulation.bias)
        self.skip = _convolution(axes, entering, width, kernel=1) if entering != width else nn.Identity()
        self.dropout = SharedDropout(dropout)
        self.norm2 = _norm(width) if attends else None
        self.attn = Attention(width, max(1, width // 64)) if attends else None

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """x (B, entering, ...), condition (B, embedding)."""
        with full_precision(condition.device):
            modulation = self.modulation(condition.float()).reshape(len(x), -1, *[1] * (x.ndim - 2))
        scale, shift = modulation.chunk(2, dim=1)
        h = self.conv0(F.silu(self.norm0(x)))
        h = F.silu(torch.addcmul(shift, self.norm1(h), 1 + scale))
        x = (self.skip(x) + self.conv1(self.dropout(h))) * math.sqrt(0.5)
        if self.attn is None or self.norm2 is None:
            return x
        tokens = self.norm2(x).flatten(2).transpose(1, 2)
        return (x + self.attn(tokens).transpose(1, 2).reshape(x.shape)) * math.sqrt(0.5)


@final
class Resize(nn.Module):
    """Averages of neighbours, or with ``up`` every value twice along each axis; then a convolution.

    Repeated values see sums of its kernel's: a transposed convolution with those is the same in four ninths of the
    operations (for two axes).
    """

    def __init__(self, axes: int, width: int, *, up: bool) -> None:
        super().__init__()
        self.axes, self.up = axes, up
        self.conv = _convolution(axes, width, width)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        out: Tensor
        if not self.up:
            out = self.conv(_POOLS[self.axes](x, 2))
            return out
        kernel = self.conv.weight.flip(*range(2, x.ndim)).transpose(0, 1)
        for axis in range(self.axes):
            before, after = ([0] * (2 * axis) + pad for pad in ([1, 0], [0, 1]))
            kernel = F.pad(kernel, before) + F.pad(kernel, after)
        out = _TRANSPOSED[self.axes](x, kernel, self.conv.bias, stride=2, padding=1)
        return out


def _convolution(
    axes: int, entering: int, width: int, *, kernel: int = 3, scale: float = 1.0
) -> nn.Conv1d | nn.Conv2d | nn.Conv3d:
    layer = CONVOLUTIONS[axes](entering, width, kernel, padding=kernel // 2)
    layer.weight.data = layer.weight.data.contiguous(memory_format=_LAYOUTS.get(axes + 2, torch.contiguous_format))
    nn.init.xavier_uniform_(layer.weight, gain=scale)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def _norm(width: int) -> nn.GroupNorm:
    groups = max(n for n in range(1, min(32, width // 4) + 1) if width % n == 0)
    return nn.GroupNorm(groups, width, eps=1e-6)
