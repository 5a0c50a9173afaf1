"""Where coordinates live: on lines, on circles, on the sphere. Features that know it leave no seam.

A *space* is named by a word for all axes, or one for each joined by commas: "line" (the usual), "circle" (the end of
the axis meets its beginning), "line,circle" (a band around), or "sphere" (two axes: latitude from the north pole, -1,
to the south pole, 1, and longitude once around).
"""

import math
from typing import final

import torch
from torch import Tensor, nn

from inrkit.errors import UsageError
from inrkit.nn.fourier import FourierFeatures, grid_centers

WORDS = ("line", "circle", "sphere")


def closed_axes(space: str, axes: int) -> tuple[bool, ...]:
    """For each axis of a space, whether its end meets its beginning."""
    words = space.split(",")
    if any(word not in WORDS for word in words) or ("sphere" in words and (words != ["sphere"] or axes != 2)):
        raise UsageError(
            f"a 'space' is line, circle, one of them for each axis, or sphere for two axes (got '{space}')"
        )
    if words == ["sphere"]:
        return False, True
    if len(words) not in (1, axes):
        raise UsageError(f"'space' needs one word, or one for each of {axes} axes (got '{space}')")
    closed = tuple(word == "circle" for word in words)
    return closed * axes if len(words) == 1 else closed


def features_for(space: str, axes: int, dim: int, max_frequency: float) -> nn.Module:
    """Coordinates (..., axes) in [-1, 1] to ``dim`` Fourier features of places in this space."""
    closed = closed_axes(space, axes)
    if space == "sphere":
        return SphereFeatures(dim, max_frequency)
    return FourierFeatures(axes, dim, max_frequency, closed)


@final
class SphereFeatures(nn.Module):
    """Fourier features of the place (x, y, z) on the unit sphere; smooth across the date line and the poles.

    ``max_frequency`` is meant along the equator, as on a circle; what remains of ``dim`` after equal shares is zero.
    """

    def __init__(self, dim: int, max_frequency: float) -> None:
        super().__init__()
        used = dim // 6 * 6
        if not used:
            raise UsageError(f"'dim' must be at least 6 on the sphere (got {dim})")
        # The equator is 2π long, a closed axis 2.
        self.features, self.rest = FourierFeatures(3, used, max(max_frequency / math.pi, 1.0)), dim - used

    def forward(self, coords: Tensor) -> Tensor:
        return nn.functional.pad(self.features(on_sphere(coords)), (0, self.rest))


def on_sphere(coords: Tensor) -> Tensor:
    """Latitude and longitude (..., 2) in [-1, 1] to places (..., 3) on the unit sphere; -1 is north, z points there."""
    latitude, longitude = -math.pi / 2 * coords[..., 0].float(), math.pi * coords[..., 1].float()
    around = latitude.cos()
    return torch.stack([around * longitude.cos(), around * longitude.sin(), latitude.sin()], dim=-1)


def position_embedding(
    grid: tuple[int, ...], dim: int, space: str = "line", like: tuple[int, ...] | None = None
) -> Tensor:
    """Where each cell of a grid lies, as Fourier features up to the grid's Nyquist frequency, (prod(grid), dim).

    Embeddings of near cells resemble each other; the resemblance fades with the distance. Those of another grid do so
    too where it is given as ``like``: then both have its frequencies. What remains of ``dim`` after equal shares for
    all axes is zero.
    """
    axes = len(grid)
    used = dim // (2 * axes) * 2 * axes
    features: Tensor = features_for(space, axes, used, max(max(like or grid) / 2, 1.0))(grid_centers(grid))
    return nn.functional.pad(features, (0, dim - used))
