"""DiT (arXiv:2212.09748): a transformer over patches whose layer norms are modulated by the noise level."""

from typing import final

import attrs
from torch import Tensor, nn

from inrkit import (
    Condition,
    ConditionedNorm,
    EncoderBlock,
    Level,
    Observation,
    Params,
    PatchTokenizer,
    full_precision,
    option,
    unpatchify,
)
from inrkit_baselines.shape import GridDenoiser, GridShape


@attrs.frozen
class DiTOptions:
    """Options of the denoiser ``dit``; DiT-B has width 768, 12 blocks and 12 heads."""

    patch: int = option(4, "patch size")
    width: int = option(256, "embedding dimension of the transformer")
    depth: int = option(6, "transformer blocks")
    heads: int = option(4, "attention heads")
    hidden: int = option(1024, "hidden dimension of the feed-forward layers")
    dropout: float = option(0.0, "dropout probability in the feed-forward layers")


@final
class DiT(GridDenoiser):
    """Patches in, adaLN-Zero blocks, patches out. The last layer starts at zero."""

    Options = DiTOptions

    def __init__(self, options: DiTOptions, shape: GridShape, classes: int = 0) -> None:
        super().__init__(options, shape)
        o, axes = options, len(shape.size)
        self.patch = (o.patch,) * axes
        self.tokenizer = PatchTokenizer(shape.size, shape.channels, o.patch, o.width)
        self.condition = Condition(o.width, classes)
        self.blocks = nn.ModuleList(EncoderBlock(o.width, o.heads, o.hidden, dropout=o.dropout) for _ in range(o.depth))
        self.final = ConditionedNorm(o.width)
        self.linear = nn.Linear(o.width, shape.outputs * o.patch**axes)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    @staticmethod
    def divisor(options: DiTOptions) -> int:
        return options.patch

    def forward(self, observation: Observation, level: Level, label: Tensor | None = None) -> Params:
        condition = self.condition(level, label, observation.augmentation)
        x = self.tokenizer(observation)
        for block in self.blocks:
            x = block(x, condition)
        with full_precision(x.device):
            patches = self.linear(self.final(x, condition).float())
        return {self.name: unpatchify(patches, self.tokenizer.grid, self.patch)}
