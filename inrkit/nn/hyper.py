"""The hyper-network (as in TransINR, arXiv:2208.02801, and ANR): a transformer from an observation to INR params."""

from collections.abc import Mapping, Sequence
from typing import final

import torch
from torch import Tensor, nn

from inrkit.core.denoiser import Denoiser, Level
from inrkit.core.inr import Params
from inrkit.core.observation import Observation
from inrkit.errors import UsageError
from inrkit.nn.attention import ConditionedNorm, DecoderBlock, EncoderBlock
from inrkit.nn.condition import Condition
from inrkit.nn.head import TokenHead, WeightHead
from inrkit.nn.space import position_embedding
from inrkit.nn.tokenizer import Tokenizer


@final
class HyperTransformer(Denoiser):
    """Tokenizer, adaLN-Zero encoder blocks, decoder blocks over learned INR tokens, and one weight head per param.

    Args:
        tokenizer: Observation to tokens of width ``dim``.
        heads: For each param of the INR function, what reads it from the INR tokens.
        dim, depth, decoder_depth, attention_heads, hidden, dropout: Of the transformer. Without a decoder the encoded
            patches are the INR tokens, and as in a DiT the noise level modulates them once more, and the last layer
            starts at zero: what an untrained one says is unlearned slowly, and seen as grain.
        classes: Number of class labels; 0 for none. Label -1, and a missing label, mean "no class".
        token_grid: When the INR tokens lie on a grid, start them (and cross-attention) localized on it, with
            the frequencies of the tokenizer's grid, so that each attends to the patches around it.
        space: That the grid lies in; see `inrkit.nn.space`.
        aligned: For a decoder whose INR tokens know where they are: from an observation to what it shows there
            (B, tokens, dim), which they begin with beside what is learned.
    """

    tokens: nn.Parameter
    """Learned, (tokens, dim), where there is a decoder."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        heads: Mapping[str, WeightHead],
        *,
        dim: int,
        depth: int,
        decoder_depth: int,
        attention_heads: int,
        hidden: int,
        dropout: float = 0.0,
        classes: int = 0,
        token_grid: tuple[int, ...] | None = None,
        space: str = "line",
        aligned: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.names = tuple(heads)
        self.heads = nn.ModuleDict({_key(name): head for name, head in heads.items()})
        self.condition = Condition(dim, classes)
        self.encoder = nn.ModuleList(EncoderBlock(dim, attention_heads, hidden, dropout=dropout) for _ in range(depth))
        self.decoder = nn.ModuleList(
            DecoderBlock(dim, attention_heads, hidden, dropout=dropout, tied=token_grid is not None)
            for _ in range(decoder_depth)
        )
        self.aligned = aligned
        self.final = None if decoder_depth else ConditionedNorm(dim)
        if self.final is not None:
            if token_grid is None or token_grid != tokenizer.grid:
                grids = ["x".join(map(str, grid or ())) or "none" for grid in (tokenizer.grid, token_grid)]
                advice = (
                    "take a function whose tokens do" if token_grid is None else "set 'patch' and 'token_patch' alike"
                )
                raise UsageError(
                    "without decoder blocks patches become INR tokens, so that both must lie on the same grid (found "
                    f"{' and '.join(grids)}): {advice}, or 'decoder_depth' above 0"
                )
            for head in heads.values():
                if isinstance(head, TokenHead):
                    nn.init.zeros_(head.linear.weight)
                    nn.init.zeros_(head.linear.bias)
            return
        count = sum(head.count for head in heads.values())
        self.tokens = nn.Parameter(
            torch.randn(count, dim) * 0.02
            if token_grid is None
            else position_embedding(token_grid, dim, space, like=tokenizer.grid)
        )

    def forward(self, observation: Observation, level: Level, label: Tensor | None = None) -> Params:
        x = self.tokenizer(observation)
        if self.skips_encoder:
            condition = torch.zeros_like(x[:, 0])
        else:
            condition = self.condition(level, label, observation.augmentation)
            for block in self.encoder:
                x = block(x, condition)
        if self.final is not None:
            tokens = self.final(x, condition)
        else:
            # If no token has seen the observation yet, what the first block does before it looks there is done once.
            tokens = self.tokens[None] if self.aligned is None else self.tokens + self.aligned(observation)
            for block in self.decoder:
                tokens = block(tokens, x)
        parts = tokens.expand(x.shape[0], -1, -1).split([head.count for head in self.heads.values()], dim=1)
        return {
            name: head(part).float() for name, head, part in zip(self.names, self.heads.values(), parts, strict=True)
        }

    def encoder_parts(self) -> Sequence[nn.Module]:
        return [self.encoder, self.condition]

    def take_until(self) -> None:
        self.condition.take_until()
        self.two_times = True

    def take_guidance(self, low: float, high: float) -> None:
        self.condition.take_guidance()
        self.guidance_range = low, high

    def take_augmentation(self, labels: int) -> None:
        self.condition.take_augmentation(labels)


def _key(name: str) -> str:
    """A param's name for a `ModuleDict`, which takes neither dots nor names of its own methods such as "values"."""
    key = name.replace(".", "/")
    return f"{key}/" if hasattr(nn.ModuleDict(), key) else key
