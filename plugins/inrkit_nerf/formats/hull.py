"""The box that objects lie in, found from their silhouettes: what all views agree may be filled (the visual hull)."""

from typing import final

import numpy as np
import torch

from inrkit import grid_centers
from inrkit_nerf.cameras import Cameras, project

_SIDE = 40  # places on each axis that are looked at
_VIEWS = 16  # views of an object that are looked at


def foreground(images: np.ndarray) -> np.ndarray:
    """Which pixels (..., H, W) show an object: what is not fully transparent, or else not white."""
    if images.shape[-1] == 4:
        return np.asarray(images[..., 3] > 2)
    return np.asarray(images.min(-1) < 250)


@final
class Hull:
    """A box around all objects, a little larger than they are, found object by object.

    Where cameras look at, and how far away they are, says where to search; a place that some view shows as background
    is empty.

    Args:
        pose: Of all cameras (M, 4, 4).
    """

    def __init__(self, pose: torch.Tensor) -> None:
        self._centre = _centre(pose)
        self._reach = float((pose[:, :3, 3] - self._centre).norm(dim=1).max()) * 0.75
        self._places = grid_centers((_SIDE, _SIDE, _SIDE)) * self._reach + self._centre
        self._low, self._high = torch.full((3,), np.inf), torch.full((3,), -np.inf)

    @staticmethod
    def views(count: int) -> list[int]:
        """Which of an object's views are looked at."""
        return list(np.linspace(0, count - 1, min(_VIEWS, count)).round().astype(int).tolist())

    def add(self, cameras: Cameras, seen: torch.Tensor) -> None:
        """An object as these cameras (V,) show it: the pixels (V, H, W) that are not background."""
        filled = self._places[_filled(self._places, cameras, seen)]
        if len(filled):
            self._low, self._high = torch.minimum(self._low, filled.amin(0)), torch.maximum(self._high, filled.amax(0))

    def box(self) -> list[list[float]]:
        """Its lower and upper corner."""
        low, high = self._low, self._high
        if not (low < high).all():
            low, high = self._centre - self._reach, self._centre + self._reach
        margin = 2 * self._reach / _SIDE
        return [(low - margin).tolist(), (high + margin).tolist()]


def _filled(places: torch.Tensor, cameras: Cameras, seen: torch.Tensor) -> torch.Tensor:
    """Which places (P,) no view of these shows as background."""
    count, height, width = seen.shape
    positions, depth = project(cameras, places.expand(count, -1, -1))
    x, y = positions.floor().long().unbind(-1)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height) & (depth > 0)
    row = torch.arange(count)[:, None].expand_as(x)
    shown = seen[row, y.clamp(0, height - 1), x.clamp(0, width - 1)]
    # what a view does not show may be anything, but few objects lie outside of half of their views
    inner: torch.Tensor = (shown | ~inside).all(0) & (2 * inside.sum(0) >= count)
    return inner


def _centre(pose: torch.Tensor) -> torch.Tensor:
    """The point (3,) nearest to where all cameras look, in the sense of least squares."""
    eye, forward = pose[:, :3, 3], pose[:, :3, 2]
    across = torch.eye(3) - forward[:, :, None] * forward[:, None, :]
    total, right = across.sum(0), (across @ eye[..., None]).sum(0)
    solution: torch.Tensor = torch.linalg.lstsq(total, right).solution
    return solution[:, 0]
