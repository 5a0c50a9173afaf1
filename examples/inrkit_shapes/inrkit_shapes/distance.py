"""How far it is to a solid's surface: the values that are learned, from -1 outside over 0 there to 1 inside.

The cube [-1, 1]³ is 2 * `REACH` wide in the world, where a solid has its bounding box centred and of diagonal 1, z up.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

REACH = 0.51
TRUNCATION = 0.2
"""Values are distances divided by this, cut off at ± 1: a tenth of the cube is enough to see a surface coming."""


def values_of_distance(distance: Tensor) -> Tensor:
    """Distances outside of a solid, negative inside, in units of the cube [-1, 1]³, to values."""
    return (distance / -TRUNCATION).clamp(-1, 1)


def values_of_cells(occupied: Tensor) -> Tensor:
    """Occupied cells (n, n, n) of the cube to values (n, n, n) at their centers.

    Law: a value is > 0 exactly where a cell is occupied.
    """
    n = len(occupied)
    reach = math.ceil(TRUNCATION * n / 2) + 1
    # The surface lies halfway between the center of a cell and the next one that is of the other kind.
    inside, outside = _distance_to(~occupied, reach) - 0.5, _distance_to(occupied, reach) - 0.5
    return values_of_distance(torch.where(occupied, -inside, outside) * (2 / n))


def _distance_to(cells: Tensor, reach: int) -> Tensor:
    """Distances (n, n, n) from each cell to the nearest of these, in cells: exact up to ``reach``, and at least that
    beyond. The least of squares along one axis after the other (Felzenszwalb and Huttenlocher, 2012)."""
    far = float(3 * (reach + 1) ** 2)
    squares = torch.where(cells, 0.0, far)
    for axis in range(3):
        n = squares.shape[axis]
        padded = F.pad(squares.movedim(axis, -1), (reach, reach), value=far)
        for step in range(-reach, reach + 1):
            shifted = padded[..., reach + step : reach + step + n].movedim(-1, axis) + step**2
            squares = shifted if step == -reach else torch.minimum(squares, shifted)
    return squares.sqrt()


def stored(values: Tensor) -> Tensor:
    """Values as bytes. The level 0 lies between 127 and 128, so that no place changes sides."""
    return ((values + 1) * 127.5).round().to(torch.uint8)
