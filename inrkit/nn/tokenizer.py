"""Observations to tokens."""

import abc
import math
from typing import final

import torch
from torch import Tensor, nn

from inrkit.core.observation import Observation
from inrkit.errors import UsageError
from inrkit.nn.precision import full_precision
from inrkit.nn.space import position_embedding


class Tokenizer(nn.Module, abc.ABC):
    """Turns an observation into the tokens that a transformer reads."""

    grid: tuple[int, ...] | None = None
    """Where the tokens lie on a grid, the grid whose `position_embedding` they have."""

    @abc.abstractmethod
    def forward(self, observation: Observation) -> Tensor:
        """Tokens (B, N, dim)."""


def patchify(values: Tensor, patch: tuple[int, ...]) -> Tensor:
    """(B, C, *size) to (B, patches, C * prod(patch)), for any number of axes; patches in row-major order."""
    axes = len(patch)
    split = [part for n, p in zip(values.shape[2:], patch, strict=True) for part in (n // p, p)]
    counts, insides = range(2, 2 + 2 * axes, 2), range(3, 3 + 2 * axes, 2)
    parts = values.reshape(*values.shape[:2], *split).permute(0, *counts, 1, *insides)
    return parts.reshape(values.shape[0], -1, values.shape[1] * math.prod(patch))


def unpatchify(patches: Tensor, grid: tuple[int, ...], patch: tuple[int, ...]) -> Tensor:
    """The inverse of `patchify`: (B, patches, C * prod(patch)) on a grid of so many patches to (B, C, *size)."""
    axes = len(grid)
    parts = patches.reshape(patches.shape[0], *grid, -1, *patch)  # (B, n..., C, p...)
    order = [part for axis in range(axes) for part in (1 + axis, 2 + axes + axis)]
    size = [n * p for n, p in zip(grid, patch, strict=True)]
    return parts.permute(0, 1 + axes, *order).reshape(patches.shape[0], -1, *size)


@final
class PatchTokenizer(Tokenizer):
    """One token for each patch of values on a grid of 1, 2, 3 or more axes, with a learned position.

    Args:
        size: Cells of the support on each axis.
        channels: Channels of the values.
        patch: Length of a patch along every axis; it must divide ``size``.
        dim: Width of the tokens.
        localized: Start the positions as sines of where the patches lie, instead of at random.
        space: Where they lie; see `inrkit.nn.space`.
    """

    grid: tuple[int, ...]

    def __init__(
        self, size: tuple[int, ...], channels: int, patch: int, dim: int, *, localized: bool = True, space: str = "line"
    ) -> None:
        super().__init__()
        if any(n % patch for n in size):
            raise UsageError(f"'patch' must divide the support's size (got {patch} and {'x'.join(map(str, size))})")
        self.size, self.channels, self.patch = size, channels, patch
        self.grid = tuple(n // patch for n in size)
        self.embed = nn.Linear(channels * patch ** len(size), dim)
        self.position = nn.Parameter(
            position_embedding(self.grid, dim, space) if localized else torch.randn(math.prod(self.grid), dim) * 0.02
        )

    def forward(self, observation: Observation) -> Tensor:
        expected = (self.channels, *self.size)
        if tuple(observation.values.shape[1:]) != expected:
            raise UsageError(f"the model needs values of shape {expected}, got {tuple(observation.values.shape[1:])}")
        patches = patchify(observation.values.float(), (self.patch,) * len(self.size))
        with full_precision(patches.device):
            tokens: Tensor = self.embed(patches)
        return tokens + self.position
