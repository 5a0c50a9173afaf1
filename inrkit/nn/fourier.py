"""Fourier features (arXiv:2006.10739), with which an MLP can learn high frequencies."""

import math
from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn

from inrkit.errors import UsageError


@final
class FourierFeatures(nn.Module):
    """cos(π w x), sin(π w x) per axis, with frequencies w spaced evenly in the logarithm from 1 to ``max_frequency``.

    A grid of n places on [-1, 1] cannot tell frequencies above n / 2 (its Nyquist frequency) from lower ones:
    whatever the network does with them between the places is left to chance. ``max_frequency`` is the band limit.

    Args:
        axes: Number of coordinates.
        dim: Number of features; a multiple of 2 * axes.
        max_frequency: The highest w. ANR uses 1024.
        closed: For each axis, whether its end meets its beginning: there w is whole, so that 1 is the same place as -1.
    """

    frequencies: Tensor

    def __init__(self, axes: int, dim: int, max_frequency: float, closed: Sequence[bool] = ()) -> None:
        super().__init__()
        if dim % (2 * axes):
            raise UsageError(f"the width must be a multiple of {2 * axes} for {axes} axes (got {dim})")
        self.axes, self.dim, self.max_frequency = axes, dim, max_frequency
        w = torch.exp(torch.linspace(0, math.log(max_frequency), dim // (2 * axes)))
        w = torch.stack([w.round() if is_closed else w for is_closed in closed]) if any(closed) else w
        self.register_buffer("frequencies", math.pi * w, persistent=False)

    def forward(self, coords: Tensor) -> Tensor:
        """Coords (..., axes) to features (..., dim): all cosines first, then all sines."""
        angles = (coords.float()[..., None] * self.frequencies).flatten(-2)
        return torch.cat([angles.cos(), angles.sin()], dim=-1)


def noise_level_features(level: Tensor, dim: int, max_period: float = 10_000.0) -> Tensor:
    """Sinusoids of c_noise, (B,) to (B, dim), with frequencies from 1 down to 1 / max_period (DDPM)."""
    w = torch.exp(-math.log(max_period) * torch.arange(dim // 2, device=level.device) / (dim // 2))
    angles = level.float()[:, None] * w
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


def center(i: Tensor, n: int) -> Tensor:
    """The centers -1 + 2 (i + ½) / n of cells i of n on [-1, 1]."""
    return (2 * i + 1) / n - 1


def grid_centers(size: tuple[int, ...], device: torch.device | str | None = None) -> Tensor:
    """Centers of the cells of a grid on [-1, 1], (prod(size), axes), last axis fastest."""
    axes = [center(torch.arange(n, device=device), n) for n in size]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).flatten(0, -2)
