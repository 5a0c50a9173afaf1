"""From the decoder's tokens to the params of an INR function."""

import abc
import math
from collections.abc import Mapping
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inrkit.errors import UsageError
from inrkit.nn.precision import full_precision
from inrkit.nn.tokenizer import unpatchify


class WeightHead(nn.Module, abc.ABC):
    """Reads one param from as many tokens as it asks for."""

    count: int
    """Decoder tokens that this param needs."""

    @abc.abstractmethod
    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (B, count, dim) to the param (B, *shape)."""


@final
class TokenHead(WeightHead):
    """A param that is itself a set of tokens (n, width): w · Linear(LN(token)) + b with learned w, b (n, width) (ANR).

    b acts as the tokens' position embedding; ``start`` (n, width) is what it starts from, chance by default.
    """

    def __init__(self, shape: tuple[int, ...], dim: int, *, start: Tensor | None = None) -> None:
        super().__init__()
        self.count, width = shape
        self.norm = nn.LayerNorm(dim)
        self.linear = nn.Linear(dim, width)
        self.scale = nn.Parameter(torch.ones(self.count, width))
        self.offset = nn.Parameter(torch.randn(self.count, width) if start is None else start.clone())

    def forward(self, tokens: Tensor) -> Tensor:
        with full_precision(tokens.device):
            return torch.addcmul(self.offset, self.scale, self.linear(self.norm(tokens.float())))


@final
class ColumnHead(WeightHead):
    """A weight matrix (fan_in + 1, fan_out) whose columns come in groups, one token a group (TransINR).

    Column j is normalize(base_j * x_(j mod g)) over the inputs, with g = min(groups, fan_out) and a learned, shared
    base; times sqrt(2) so that ReLU keeps the scale of activations. The last row, the bias, is the base's own.
    """

    def __init__(self, shape: tuple[int, ...], dim: int, *, groups: int = 64) -> None:
        super().__init__()
        rows, self.fan_out = shape
        self.count = min(groups, self.fan_out)
        if self.fan_out % self.count:
            raise UsageError(f"'groups' must divide the function's width (got {self.count} and {self.fan_out})")
        self.norm = nn.LayerNorm(dim)
        self.linear = nn.Linear(dim, rows - 1)
        self.base = nn.Parameter(torch.empty(rows - 1, self.fan_out))
        nn.init.kaiming_uniform_(self.base, a=5**0.5)
        self.bias = nn.Parameter(torch.zeros(1, self.fan_out))

    def forward(self, tokens: Tensor) -> Tensor:
        with full_precision(tokens.device):
            x = self.linear(self.norm(tokens.float())).transpose(1, 2)  # (B, fan_in, g)
        columns = F.normalize(self.base * x.repeat(1, 1, self.fan_out // self.count), dim=1) * 2**0.5
        return torch.cat([columns, self.bias.expand(x.shape[0], -1, -1)], dim=1)


@final
class GridHead(WeightHead):
    """A param that is a grid of values (C, *size), written in patches, one token a patch (DiT).

    ``patch`` is its side; by default the largest that divides every axis and leaves at least 8 patches along the
    longest.
    """

    def __init__(self, shape: tuple[int, ...], dim: int, *, patch: int = 0) -> None:
        super().__init__()
        channels, *size = shape
        common = math.gcd(*size)
        sides = [side for side in range(1, common + 1) if common % side == 0 and (side == 1 or max(size) // side >= 8)]
        self.channels, self.patch = channels, patch or sides[-1]
        if any(n % self.patch for n in size):
            raise UsageError(f"'patch' must divide the grid's size (got {self.patch} and {size})")
        self.grid = tuple(n // self.patch for n in size)
        self.count = math.prod(self.grid)
        self.norm = nn.LayerNorm(dim)
        self.linear = nn.Linear(dim, channels * self.patch ** len(size))

    def forward(self, tokens: Tensor) -> Tensor:
        with full_precision(tokens.device):
            patches = self.linear(self.norm(tokens.float()))
        return unpatchify(patches, self.grid, (self.patch,) * len(self.grid))


def make_heads(
    shapes: Mapping[str, tuple[int, ...]], kind: str, dim: int, *, groups: int = 64, start: Tensor | None = None
) -> dict[str, WeightHead]:
    """A head for each param: "tokens" (starting from ``start``), "columns" (in ``groups``) or "grid"."""
    if kind == "tokens":
        return {name: TokenHead(shape, dim, start=start) for name, shape in shapes.items()}
    if kind == "columns":
        return {name: ColumnHead(shape, dim, groups=groups) for name, shape in shapes.items()}
    if kind == "grid":
        return {name: GridHead(shape, dim) for name, shape in shapes.items()}
    raise UsageError(f"no weight head named '{kind}'; there are tokens, columns, grid")
