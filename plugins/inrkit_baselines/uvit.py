"""U-ViT (arXiv:2209.12152): patches and noise level as tokens, long skip connections from early to late blocks."""

from typing import final

import attrs
import torch
from torch import Tensor, nn

from inrkit import (
    Attention,
    Condition,
    FeedForward,
    Level,
    Observation,
    Params,
    PatchTokenizer,
    UsageError,
    full_precision,
    option,
    unpatchify,
)
from inrkit_baselines.shape import CONVOLUTIONS, GridDenoiser, GridShape


@attrs.frozen
class UViTOptions:
    """Options of the denoiser ``uvit``; U-ViT-S has width 512, 13 blocks and 8 heads."""

    patch: int = option(4, "patch size")
    width: int = option(256, "embedding dimension of the transformer")
    depth: int = option(7, "transformer blocks, an odd number")
    heads: int = option(4, "attention heads")
    hidden: int = option(1024, "hidden dimension of the feed-forward layers")
    dropout: float = option(0.0, "dropout probability in the feed-forward layers")


@final
class UViT(GridDenoiser):
    """A plain transformer; block depth - 1 - i also reads what block i gave. A convolution removes seams of patches."""

    Options = UViTOptions

    def __init__(self, options: UViTOptions, shape: GridShape, classes: int = 0) -> None:
        super().__init__(options, shape)
        o, axes = options, len(shape.size)
        if o.depth % 2 == 0:
            raise UsageError(f"options.denoiser_options: 'depth' must be odd (got {o.depth})")
        self.patch = (o.patch,) * axes
        self.tokenizer = PatchTokenizer(shape.size, shape.channels, o.patch, o.width)
        self.condition = Condition(o.width, classes)
        self.position = nn.Parameter(torch.randn(o.width) * 0.02)
        half = o.depth // 2
        self.blocks = nn.ModuleList(
            Block(o.width, o.heads, o.hidden, o.dropout, joins=i > half) for i in range(o.depth)
        )
        self.norm = nn.LayerNorm(o.width)
        self.patches = nn.Linear(o.width, shape.outputs * o.patch**axes)
        self.last = CONVOLUTIONS[axes](shape.outputs, shape.outputs, 3, padding=1)

    @staticmethod
    def divisor(options: UViTOptions) -> int:
        return options.patch

    def forward(self, observation: Observation, level: Level, label: Tensor | None = None) -> Params:
        condition = self.condition(level, label, observation.augmentation)[:, None] + self.position
        x = torch.cat([condition, self.tokenizer(observation)], dim=1)
        earlier: list[Tensor] = []
        half = len(self.blocks) // 2
        for i, block in enumerate(self.blocks):
            x = block(x, earlier.pop() if i > half else None)
            if i < half:
                earlier.append(x)
        with full_precision(x.device):
            patches = self.patches(self.norm(x[:, 1:].float()))
            return {self.name: self.last(unpatchify(patches, self.tokenizer.grid, self.patch))}


@final
class Block(nn.Module):
    """Attention and feed-forward, after a look at an earlier block for one that ``joins``."""

    def __init__(self, dim: int, heads: int, hidden: int, dropout: float, *, joins: bool) -> None:
        super().__init__()
        self.skip_linear = nn.Linear(2 * dim, dim) if joins else None
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attn = Attention(dim, heads)
        self.mlp = FeedForward(dim, hidden, dropout=dropout)

    def forward(self, x: Tensor, earlier: Tensor | None) -> Tensor:
        """x and what an earlier block gave, (B, N, dim)."""
        if self.skip_linear is not None and earlier is not None:
            x = self.skip_linear(torch.cat([x, earlier], dim=-1))
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))
