"""The box that objects lie in, found from their silhouettes: what all views agree may be filled (the visual hull)."""

import math
from typing import final

import numpy as np
import torch
from torch.nn import functional as F

from inrkit import grid_centers
from inrkit_nerf.cameras import Cameras, project

_SIDE = 40  # places on each axis that are looked at
_VIEWS = 16  # views of an object that are looked at
_ALIKE = 1e-6  # squared sines of angles, in the mean, between cameras that look in one direction
_MOST_PIXELS = 128  # a side of what is looked at of a view


@final
class Hull:
    """A box around all objects, a little larger than they are, found object by object.

    Where an object's cameras look, and how far away they are, says where to search for it; a place that some view shows
    as background is empty.
    """

    def __init__(self) -> None:
        self._low, self._high = torch.full((3,), np.inf), torch.full((3,), -np.inf)

    @staticmethod
    def views(poses: np.ndarray) -> set[int]:
        """Which of an object's views (M, 4, 4) are looked at: those from the most different sides.

        It is the lowest views that tell how far down an object reaches.
        """
        looks = poses[:, :3, 2]
        chosen: list[int] = []
        apart = -(looks @ looks.mean(0))  # at first the one that differs most from them all
        for _ in range(min(_VIEWS, len(looks))):
            chosen.append(int(apart.argmax()))
            nearer = 1 - looks @ looks[chosen[-1]]
            apart = np.minimum(apart, nearer) if len(chosen) > 1 else nearer
            apart[chosen] = -np.inf
        return set(chosen)

    def add(self, cameras: Cameras, seen: torch.Tensor) -> bool:
        """An object as these cameras (V,) show it: the pixels (V, H, W) that are not background.

        Whether there is a place that it may be at.
        """
        small = min(cameras.size[0], _MOST_PIXELS), min(cameras.size[1], _MOST_PIXELS)
        cameras, seen = cameras.resized(small), F.adaptive_max_pool2d(seen.float(), small)
        centre = look_centre(cameras.pose)
        reach = (cameras.position - centre).norm(dim=1).max() * 0.75
        low, high = centre - reach, centre + reach
        found = True
        for _ in range(2):  # first where it lies, then how far it reaches
            cell = (high - low) / _SIDE
            places = grid_centers((_SIDE, _SIDE, _SIDE)) * (high - low) / 2 + (low + high) / 2
            filled = places[_filled(places, cameras, seen, float(cell.norm()) / 2)]
            found = len(filled) > 0
            if not found:
                break
            low, high = filled.amin(0) - cell / 2, filled.amax(0) + cell / 2
        self._low, self._high = torch.minimum(self._low, low), torch.maximum(self._high, high)
        return found

    def box(self) -> list[list[float]]:
        """Its lower and upper corner."""
        return [self._low.tolist(), self._high.tolist()]


def _filled(places: torch.Tensor, cameras: Cameras, seen: torch.Tensor, around: float) -> torch.Tensor:
    """Which places (P,) no view of these shows as background, nor all that lies as far ``around`` them."""
    count, height, width = seen.shape
    positions, depth = project(cameras, places.expand(count, -1, -1))
    pixels = around * float((cameras.intrinsics[:, 0] / depth.median(1).values.clamp_min(1e-6)).max())
    rim = min(math.ceil(pixels), max(height, width))
    across = F.max_pool2d(seen[:, None], (1, 2 * rim + 1), 1, (0, rim))
    wide = F.max_pool2d(across, (2 * rim + 1, 1), 1, (rim, 0))[:, 0] > 0
    x, y = positions.floor().long().unbind(-1)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height) & (depth > 0)
    row = torch.arange(count)[:, None].expand_as(x)
    shown = wide[row, y.clamp(0, height - 1), x.clamp(0, width - 1)]
    # what a view does not show may be anything, but few objects lie outside of half of their views
    inner: torch.Tensor = (shown | ~inside).all(0) & (2 * inside.sum(0) >= count)
    return inner


def look_centre(pose: torch.Tensor) -> torch.Tensor:
    """The point (3,) nearest to where all cameras (M, 4, 4) look, in the sense of least squares."""
    eye, forward = pose[:, :3, 3], pose[:, :3, 2]
    across = torch.eye(3).to(pose) - forward[:, :, None] * forward[:, None, :]
    total, right = across.sum(0), (across @ eye[..., None]).sum(0)
    # in a direction that all of them look in alike, as if they were one, nothing is said but what lies near the origin
    solution: torch.Tensor = torch.linalg.pinv(total, rtol=_ALIKE, hermitian=True) @ right
    return solution[:, 0]
