"""The box that objects lie in, found from their silhouettes: what all views agree may be filled (the visual hull)."""

import numpy as np
import torch

from inrkit import DataError, Progress, grid_centers, quiet
from inrkit_nerf.cameras import Cameras, project

_SIDE = 40  # places on each axis that are looked at
_VIEWS = 16  # views of an object that are looked at


def foreground(images: np.ndarray) -> np.ndarray:
    """Which pixels (M, H, W) show an object: what is not fully transparent, or else not white."""
    if images.shape[-1] == 4:
        return images[..., 3] > 2
    return np.asarray((images < 250).any(-1))


def box_of(arrays: dict[str, np.ndarray], names: list[str], progress: Progress = quiet) -> list[list[float]]:
    """Lower and upper corner of a box around all objects, a little larger than they are.

    Where cameras look at, and how far away they are, says where to search; a place that some view shows as background
    is empty.
    """
    pose = torch.from_numpy(arrays["pose"])
    reach = float((pose[:, :3, 3] - _centre(pose)).norm(dim=1).max()) * 0.75
    places = grid_centers((_SIDE, _SIDE, _SIDE)) * reach + _centre(pose)
    seen = foreground(arrays["images"])
    low, high = torch.full((3,), np.inf), torch.full((3,), -np.inf)
    for number, name in enumerate(names):
        rows = np.flatnonzero(arrays["object"] == number)
        if not seen[rows].any():
            raise DataError(
                f"{name}: expected an object before a white or transparent background, found nothing in its views"
            )
        rows = rows[np.linspace(0, len(rows) - 1, min(_VIEWS, len(rows))).round().astype(int)]
        filled = places[_filled(places, arrays, seen, rows)]
        if len(filled):
            low, high = torch.minimum(low, filled.amin(0)), torch.maximum(high, filled.amax(0))
        progress(number + 1, len(names), "measuring objects")
    if not (low < high).all():
        low, high = _centre(pose) - reach, _centre(pose) + reach
    margin = 2 * reach / _SIDE
    return [(low - margin).tolist(), (high + margin).tolist()]


def _filled(places: torch.Tensor, arrays: dict[str, np.ndarray], seen: np.ndarray, rows: np.ndarray) -> torch.Tensor:
    """Which places (P,) no view of these shows as background."""
    height, width = seen.shape[1:]
    cameras = Cameras(
        torch.from_numpy(arrays["pose"][rows]), torch.from_numpy(arrays["intrinsics"][rows]), (height, width)
    )
    positions, depth = project(cameras, places.expand(len(rows), -1, -1))
    x, y = positions.floor().long().unbind(-1)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height) & (depth > 0)
    mask = torch.from_numpy(seen[rows])
    row = torch.arange(len(rows))[:, None].expand_as(x)
    shown = mask[row, y.clamp(0, height - 1), x.clamp(0, width - 1)]
    # what a view does not show may be anything, but few objects lie outside of half of their views
    inner: torch.Tensor = (shown | ~inside).all(0) & (2 * inside.sum(0) >= len(rows))
    return inner


def _centre(pose: torch.Tensor) -> torch.Tensor:
    """The point (3,) nearest to where all cameras look, in the sense of least squares."""
    eye, forward = pose[:, :3, 3], pose[:, :3, 2]
    across = torch.eye(3) - forward[:, :, None] * forward[:, None, :]
    total, right = across.sum(0), (across @ eye[..., None]).sum(0)
    solution: torch.Tensor = torch.linalg.lstsq(total, right).solution
    return solution[:, 0]
