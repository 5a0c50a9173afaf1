"""Which cells of the cube lie inside of a mesh."""

import numpy as np
import torch
from torch import Tensor

from inrkit_shapes.distance import REACH

# Rays would meet edges between triangles if they ran along the same round numbers.
_ASIDE = (1.3e-4, 2.1e-4)
_AT_ONCE = 1 << 16  # triangles


def voxelise(triangles: np.ndarray, n: int) -> Tensor:
    """Triangles (F, 3, 3), their bounding box brought to the middle and to diagonal 1, to cells (n, n, n).

    A cell is occupied where the surface winds around its center, as rays along two of the three axes at least say: so
    parts may overlap each other, and small holes do no harm.
    """
    low, high = triangles.min((0, 1)), triangles.max((0, 1))
    scaled = (triangles - (low + high) / 2) / max(float(np.linalg.norm(high - low)), 1e-12)
    cells = (scaled / REACH + 1) * (n / 2)  # in units of cells
    votes = sum(_wound(cells, n, axis).astype(np.uint8) for axis in range(3))
    return torch.from_numpy(np.asarray(votes) >= 2)


def _wound(triangles: np.ndarray, n: int, axis: int) -> np.ndarray:
    """Where rays along an axis, one through the center of each cell, are inside: (n, n, n) bool."""
    u, v = (axis + 1) % 3, (axis + 2) % 3
    change = np.zeros((n, n, n + 1), np.int32)  # of the winding number, before cell w
    for start in range(0, len(triangles), _AT_ONCE):
        _add(change, triangles[start : start + _AT_ONCE][:, :, [u, v, axis]], n)
    wound = change[..., :n].cumsum(2) != 0
    return np.moveaxis(wound, (0, 1, 2), (u, v, axis))


def _add(change: np.ndarray, triangles: np.ndarray, n: int) -> None:
    """Marks where the rays (i, j) cross these triangles, +1 or -1 by the side they come from."""
    flat = triangles[..., :2] - 0.5 - np.array(_ASIDE)  # cell i has its center at i
    low = np.clip(np.ceil(flat.min(1)), 0, n).astype(np.int64)
    high = np.clip(np.floor(flat.max(1)), -1, n - 1).astype(np.int64)
    spans = np.clip(high - low + 1, 0, None)
    counts = spans.prod(1)
    which = np.repeat(np.arange(len(flat)), counts)  # a row for each pair of triangle and ray that may meet
    number = np.arange(len(which)) - np.repeat(counts.cumsum() - counts, counts)
    i = low[which, 0] + number // spans[which, 1]
    j = low[which, 1] + number % spans[which, 1]
    a, b, c = (flat[which, k] for k in range(3))
    p = np.stack([i, j], 1)
    shares = np.stack([_cross(b - p, c - p), _cross(c - p, a - p), _cross(a - p, b - p)], 1)
    area = shares.sum(1)
    met = (area != 0) & ((shares >= 0).all(1) | (shares <= 0).all(1))
    shares, area, which, i, j = shares[met], area[met], which[met], i[met], j[met]
    depth = (shares * triangles[which, :, 2]).sum(1) / area
    before = np.clip(np.ceil(depth - 0.5), 0, n).astype(np.int64)
    np.add.at(change, (i, j, before), np.sign(area).astype(np.int32))


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])
