"""Positional encoding of points, and of what a pixel's cone covers around them (mip-NeRF)."""

from typing import TYPE_CHECKING, final

import torch
from torch import Tensor, nn


@final
class PositionalEncoding(nn.Module):
    """cos(w x), sin(w x) on each axis, with ``count`` frequencies w from 1 to 2^octaves, evenly in the logarithm.

    For a point with a variance (mip-NeRF's integrated encoding) it is the mean of these over a normal distribution,
    exp(-w² variance / 2) times the value at its middle: frequencies that the spread averages out are not shown.
    """

    frequencies: Tensor

    def __init__(self, axes: int, count: int, octaves: float) -> None:
        super().__init__()
        self.dim = 2 * axes * count
        self.register_buffer("frequencies", 2 ** torch.linspace(0, octaves, count), persistent=False)

    def forward(self, coords: Tensor, variance: Tensor | None = None) -> Tensor:
        """Coords and their variance (..., axes) to features (..., dim): all cosines first, then all sines."""
        angles = (coords.float()[..., None] * self.frequencies).flatten(-2)
        features = torch.cat([angles.cos(), angles.sin()], dim=-1)
        if variance is None:
            return features
        damped = (-0.5 * variance.float()[..., None] * self.frequencies**2).exp().flatten(-2)
        return features * torch.cat([damped, damped], dim=-1)

    if TYPE_CHECKING:
        __call__ = forward


def cone_variance(directions: Tensor, start: Tensor, stop: Tensor, spread: Tensor) -> tuple[Tensor, Tensor]:
    """Where on the ray the middle of a piece of a cone lies, (..., S), and its variance on each axis, (..., S, 3).

    The cone around a ray of length-1 ``directions`` (..., 3) has radius ``spread`` (...) times the distance; its piece
    from ``start`` to ``stop`` (..., S) is taken as a normal distribution with the same mean and variance (mip-NeRF,
    equation 7).
    """
    c, d = (start + stop) / 2, (stop - start) / 2
    whole = (3 * c**2 + d**2).clamp_min(1e-12)
    middle = c + 2 * c * d**2 / whole
    along = d**2 / 3 - 4 / 15 * d**4 * (12 * c**2 - d**2) / whole**2
    across = spread[..., None] ** 2 * (c**2 / 4 + 5 / 12 * d**2 - 4 / 15 * d**4 / whole)
    squared = directions[..., None, :] ** 2
    return middle, along[..., None] * squared + across[..., None] * (1 - squared)
