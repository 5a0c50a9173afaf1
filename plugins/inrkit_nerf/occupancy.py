"""Where objects are: one boolean grid for each of a batch, made from their fields."""

from collections.abc import Callable
from typing import final

import attrs
import torch
from torch import Tensor
from torch.nn import functional as F

from inrkit import grid_centers

_THIN = 0.01  # a cell through which at least this share of the light is lost is not empty


@final
@attrs.frozen(eq=False)
class Occupancy:
    """Cells that are not empty, (B, N, N, N), of the box from ``low`` to ``high``."""

    cells: Tensor
    low: Tensor
    high: Tensor

    def at(self, points: Tensor) -> Tensor:
        """Whether points (B or 1, ..., 3) of each object lie in such cells, (B, ...)."""
        side, objects = self.cells.shape[-1], len(self.cells)
        place = ((points - self.low) / (self.high - self.low) * side).long().clamp(0, side - 1)
        number = (place[..., 0] * side + place[..., 1]) * side + place[..., 2]
        flat = number.flatten(1).expand(objects, -1)
        return torch.unflatten(self.cells.flatten(1).gather(1, flat), 1, number.shape[1:])


def occupancy_of(
    density: Callable[[Tensor], Tensor], low: Tensor, high: Tensor, side: int, device: torch.device
) -> Occupancy:
    """From densities (B, P) at points (1, P, 3), measured in the middle of each cell.

    Neighbours of cells that are not empty count as such too, so that what lies between two middles is not lost.
    """
    low, high = low.to(device), high.to(device)
    middles = (grid_centers((side, side, side), device) + 1) / 2 * (high - low) + low
    found = density(middles[None])
    across = float((high - low).norm()) / side
    taken = ~((1 - torch.exp(-found * across)) <= _THIN)  # what is not a number is not empty: it should be seen
    cells = taken.unflatten(1, (side, side, side)).float()
    return Occupancy(F.max_pool3d(cells[:, None], 3, stride=1, padding=1)[:, 0] > 0, low, high)
