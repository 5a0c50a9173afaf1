"""Surfaces of solids: where a function of space crosses a level, as triangles."""

from collections.abc import Callable
from typing import final

import attrs
import torch
from torch import Tensor

from inrkit.errors import DataError

Inside = Callable[[Tensor], Tensor]
"""Points (P, 3) in the world to numbers (P,), greater inside of the solid."""


@final
@attrs.frozen(eq=False)
class Surface:
    """A solid that has a surface.

    Args:
        value: What is greater inside than outside.
        level: Its value on the surface.
        low, high: Corners of a box that holds the solid.
        colour: Points (P, 3) to colours (P, 3) in [0, 1]; None if it has none.
    """

    value: Inside
    level: float
    low: tuple[float, ...]
    high: tuple[float, ...]
    colour: Callable[[Tensor], Tensor] | None = None


@final
@attrs.frozen(eq=False)
class Mesh:
    """Vertices (V, 3), triangles (F, 3) of their numbers, anticlockwise seen from outside, and colours (V, 3)."""

    vertices: Tensor
    faces: Tensor
    colours: Tensor | None = None


@torch.no_grad()
def mesh_of(surface: Surface, cells: int = 96, chunk: int = 1 << 15) -> Mesh:
    """The mesh of a surface from its values at the corners of equal cubes, ``cells`` of them along the longest side."""
    low, high = torch.tensor(surface.low), torch.tensor(surface.high)
    step = float((high - low).max()) / cells
    counts = [int(n) + 2 for n in ((high - low) / step).ceil()]
    axes = [float(a) + step * torch.arange(n) for a, n in zip(low, counts, strict=True)]
    points = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    values = torch.cat([surface.value(part).float().cpu() for part in points.split(chunk)]).reshape(counts)
    if not values.isfinite().all():
        raise DataError("the solid has values that are not finite; the model that made it has diverged")
    if not (values > surface.level).any():
        most = float(values.max())
        raise DataError(f"no surface at level {surface.level:g}: the values inside reach {most:g}; try a lower 'level'")
    vertices, faces = isosurface(values, surface.level)
    vertices = vertices * step + low
    if surface.colour is None:
        return Mesh(vertices, faces)
    return Mesh(vertices, faces, torch.cat([surface.colour(part).cpu() for part in vertices.split(chunk)]).clamp(0, 1))


# A cube's corners are numbered by the bits x, y, z; six tetrahedra share its diagonal from 0 to 7.
_TETRAHEDRA = ((0, 1, 3, 7), (0, 3, 2, 7), (0, 2, 6, 7), (0, 6, 4, 7), (0, 4, 5, 7), (0, 5, 1, 7))


def isosurface(values: Tensor, level: float) -> tuple[Tensor, Tensor]:
    """Marching tetrahedra: vertices (V, 3) in units of cells and faces (F, 3) of values (X, Y, Z) at corners.

    Closed: beyond the values all is taken to be outside. Unlike with cubes, no case is ambiguous.
    """
    outside = 2 * min(float(values.min()), level) - max(float(values.max()), level) - 1
    padded = torch.nn.functional.pad(values, (1,) * 6, value=outside)
    corners = _crossed(padded > level)  # (C, 8) flat numbers of corners
    tetrahedra = corners[:, torch.tensor(_TETRAHEDRA)].reshape(-1, 4)
    flat = padded.flatten()
    inside = flat[tetrahedra] > level
    order = (~inside).to(torch.uint8).argsort(dim=1, stable=True)
    tetrahedra, count = tetrahedra.gather(1, order), inside.sum(1)
    tetrahedra = _right_handed(tetrahedra, count, padded.shape)
    edges = torch.cat([_edges(tetrahedra[count == k], k) for k in (1, 2, 3)])  # (F, 3, 2): inside end, outside end
    crossings, faces = edges.reshape(-1, 2).unique(dim=0, return_inverse=True)
    ends = torch.stack([_places(crossings[:, i], padded.shape) for i in (0, 1)])
    share = (level - flat[crossings[:, 0]]) / (flat[crossings[:, 1]] - flat[crossings[:, 0]])
    vertices = torch.lerp(ends[0], ends[1], share[:, None])
    faces = faces.reshape(-1, 3)
    return vertices - 1, faces  # minus the padding


def _crossed(inside: Tensor) -> Tensor:
    """The corners (C, 8) of cubes that have some inside and some outside."""
    x, y, z = (n - 1 for n in inside.shape)
    parts = [inside[i : i + x, j : j + y, k : k + z] for i in (0, 1) for j in (0, 1) for k in (0, 1)]
    some = torch.stack(parts)
    where = (some.any(0) & ~some.all(0)).nonzero()
    _, ny, nz = inside.shape
    first = (where[:, 0] * ny + where[:, 1]) * nz + where[:, 2]
    steps = torch.tensor([(i * ny + j) * nz + k for i in (0, 1) for j in (0, 1) for k in (0, 1)])
    return first[:, None] + steps


def _right_handed(tetrahedra: Tensor, count: Tensor, shape: torch.Size) -> Tensor:
    """The same tetrahedra (T, 4), with two corners of the same side changed places where they were left-handed.

    What `_edges` makes of right-handed ones is seen anticlockwise from outside, however thin a triangle is.
    """
    a, b, c, d = _places(tetrahedra, shape).unbind(1)
    left = (torch.linalg.cross(b - a, c - a) * (d - a)).sum(1) < 0
    swapped = torch.where((count == 1)[:, None], tetrahedra[:, [0, 2, 1, 3]], tetrahedra[:, [1, 0, 2, 3]])
    return torch.where(left[:, None], swapped, tetrahedra)


def _edges(tetrahedra: Tensor, inside: int) -> Tensor:
    """Which edges (F, 3, 2) the triangles of tetrahedra (T, 4) cross, whose first ``inside`` corners are inside."""
    a, b, c, d = tetrahedra.unbind(1)
    if inside == 1:
        triangles = [((a, b), (a, c), (a, d))]
    elif inside == 3:
        triangles = [((a, d), (b, d), (c, d))]
    else:
        triangles = [((a, c), (a, d), (b, d)), ((a, c), (b, d), (b, c))]
    return torch.cat([torch.stack([torch.stack(edge, -1) for edge in triangle], 1) for triangle in triangles])


def _places(number: Tensor, shape: torch.Size) -> Tensor:
    """Flat numbers (...) of corners to places (..., 3)."""
    _, ny, nz = shape
    return torch.stack([number // (ny * nz), number // nz % ny, number % nz], -1).float()
