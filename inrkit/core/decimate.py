"""Fewer triangles: the corners of a mesh within one cell of a grid become one, where their planes best meet.

Vertex clustering (Rossignac and Borrel 1993) with the quadrics of Garland and Heckbert (1997), as in Lindstrom 2000.
"""

import attrs
import torch
from torch import Tensor

from inrkit.core.surface import Mesh
from inrkit.errors import UsageError

_TRIES = 12
_FINEST, _COARSEST = 512, 2  # cells along the longest side
_FLAT = 1e-2  # how much the middle of a cell's corners counts where planes do not say where they meet


def decimated(mesh: Mesh, most: int) -> Mesh:
    """A mesh of at most so many triangles, from the finest grid of cells that gives so few."""
    if most < 4:
        raise UsageError(f"'faces' must be at least 4, as a tetrahedron has (got {most})")
    if len(mesh.faces) <= most:
        return mesh
    low, high = float(_COARSEST), float(_FINEST)  # cells a side: enough, and too many
    found = _clusters(mesh, low)
    for _ in range(_TRIES):
        middle = (low * high) ** 0.5
        tried = _clusters(mesh, middle)
        if len(tried.faces) <= most:
            low, found = middle, tried
        else:
            high = middle
    return _merged(mesh, found, low)


@attrs.frozen(eq=False)
class _Clusters:
    """The number of the cluster that each corner belongs to (V,), and the triangles between clusters (F, 3)."""

    of: Tensor
    faces: Tensor


def _clusters(mesh: Mesh, cells: float) -> _Clusters:
    """One for each of the cells, so many along the longest side, that hold corners."""
    vertices = mesh.vertices.double()
    low, high = vertices.amin(0), vertices.amax(0)
    place = ((vertices - low) / ((high - low).max().clamp_min(1e-12) / cells)).long()
    _, of = _numbered(place).unique(return_inverse=True)
    return _Clusters(of, _distinct(of[mesh.faces]))


def _merged(mesh: Mesh, clusters: _Clusters, cells: float) -> Mesh:
    """A corner for each cluster."""
    vertices, cluster = mesh.vertices.double(), clusters.of
    low, high = vertices.amin(0), vertices.amax(0)
    count = int(cluster.max()) + 1
    weight = torch.bincount(cluster, minlength=count)[:, None].double()

    def mean(values: Tensor) -> Tensor:
        return values.new_zeros(count, values.shape[1]).index_add_(0, cluster, values) / weight

    middle = mean(vertices)
    corners = _meeting(vertices, mesh.faces, cluster, middle)
    reach = (high - low).max() / cells
    corners = torch.minimum(torch.maximum(corners, middle - reach), middle + reach)
    used, faces = clusters.faces.unique(return_inverse=True)
    colours = None if mesh.colours is None else mean(mesh.colours.double())[used].to(mesh.colours)
    return Mesh(corners[used].to(mesh.vertices), faces, colours)


def _meeting(vertices: Tensor, faces: Tensor, cluster: Tensor, middle: Tensor) -> Tensor:
    """The points (K, 3) nearest, by area, to the planes of the triangles that touch each cluster."""
    a, b, c = vertices[faces].unbind(1)
    normal = torch.linalg.cross(b - a, c - a)  # as long as twice the area
    length = normal.norm(dim=1, keepdim=True).clamp_min(1e-30)
    outer = normal[:, :, None] * normal[:, None] / length[..., None]  # area n nᵀ
    quadric, area = middle.new_zeros(len(middle), 3, 3), middle.new_zeros(len(middle), 1)
    pull = torch.zeros_like(middle)
    for corner in faces.unbind(1):
        to = cluster[corner]
        quadric.index_add_(0, to, outer)
        area.index_add_(0, to, length)
        pull.index_add_(0, to, (outer @ (a - middle[to])[..., None])[..., 0])  # around the middle, for few lost digits
    flat = _FLAT * area[..., None] * torch.eye(3).to(quadric) + 1e-30 * torch.eye(3).to(quadric)
    offset: Tensor = torch.linalg.solve(quadric + flat, pull)
    return middle + offset


def _numbered(rows: Tensor) -> Tensor:
    """A number (N,) for rows (N, 3) of whole numbers from 0: in the order of the rows, and far quicker to sort."""
    side = int(rows.max()) + 1 if len(rows) else 1  # up to two million, so that 64 bits suffice
    return (rows[:, 0] * side + rows[:, 1]) * side + rows[:, 2]


def _distinct(faces: Tensor) -> Tensor:
    """Triangles with three corners; two that lie on each other, seen from both sides, cancel out, so that what was
    closed still is."""
    kept = faces[(faces != faces.roll(1, 1)).all(1)]
    ordered, order = kept.sort(1)
    turned = torch.where((order[:, 1] - order[:, 0]) % 3 == 1, 1, -1)  # whether sorting kept the sense of rotation
    _, number = _numbered(ordered).unique(return_inverse=True)
    left = turned.new_zeros(int(number.max()) + 1 if len(number) else 0).index_add_(0, number, turned)
    ordered = torch.empty_like(ordered[: len(left)]).index_copy_(0, number, ordered)
    ordered = torch.where(left[:, None] > 0, ordered, ordered.flip(1))
    return ordered.repeat_interleave(left.abs(), 0)
