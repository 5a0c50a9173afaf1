"""Objects made of convex pieces, each an intersection of half-spaces, and what rays and points meet of them.

A piece is { x : n_i · x <= c_i for all i }. A ray o + z d meets the plane i where u = 1/z = -(n_i · d) / g_i, with the
camera's height above the plane g_i = n_i · o - c_i. Where g_i > 0 the piece lies at u <= that, where g_i < 0 at
u >= that. So the ray enters at the least upper bound and hits if this is above all lower bounds. For one camera the
bounds are linear in d: two matrix products and two reductions cast all rays at all pieces (the slab method, in inverse
depth).
"""

import typing

import attrs
import torch
from torch import Tensor

_FAR_OFF = 1e4  # a bound that never binds

# Bounds computed at once: what stays in a processor's cache.
_AT_ONCE = 1 << 19


@typing.final
@attrs.frozen(eq=False)
class Pieces:
    """B objects of K pieces with up to P half-spaces each.

    Args:
        normals: (B, K, P, 3) outward, of length 1; 0 where a half-space is unused.
        offsets: (B, K, P) c; where unused, 1 for all of space and -1 for none of it.
        counts: How many half-spaces each of the K pieces uses, with equal numbers side by side.
    """

    normals: Tensor
    offsets: Tensor
    counts: tuple[int, ...]

    def rows(self, index: Tensor | slice) -> "Pieces":
        """These objects."""
        return Pieces(self.normals[index], self.offsets[index], self.counts)

    def contain(self, points: Tensor) -> Tensor:
        """(B, N, 3) -> (B, N) bool: inside any piece."""
        inside = torch.zeros(points.shape[:2], dtype=torch.bool, device=points.device)
        for k, count in enumerate(self.counts):
            height = points @ self.normals[:, k, :count].mT - self.offsets[:, k, None, :count]
            inside |= (height <= 0).all(-1)
        return inside

    def groups(self) -> list[tuple[slice, int]]:
        """Runs of pieces with equally many half-spaces."""
        starts = [k for k, count in enumerate(self.counts) if k == 0 or count != self.counts[k - 1]]
        ends = [*starts[1:], len(self.counts)]
        return [(slice(start, end), self.counts[start]) for start, end in zip(starts, ends, strict=True)]


def cast(pieces: Pieces, pose: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    """What rays hit first: inverse depths 1/z (B, N), 0 for nothing, and the numbers (B, N) of the pieces.

    One camera with ``pose`` (B, 4, 4) for each object, and directions (B, N, 3) in camera space with z = 1.
    """
    inverse = directions.new_zeros(directions.shape[:2])
    number = torch.zeros(directions.shape[:2], dtype=torch.int64, device=directions.device)
    step = max(1, _AT_ONCE // (max(1, directions.shape[1]) * sum(pieces.counts)))
    for start in range(0, len(pose), step):
        block = slice(start, start + step)
        found = [_bounds(pieces.rows(block), *group, pose[block], directions[block]) for group in pieces.groups()]
        hits = torch.cat(found, 1)
        inverse[block], number[block] = hits.max(1)
    return inverse, number


def _bounds(pieces: Pieces, group: slice, count: int, pose: Tensor, directions: Tensor) -> Tensor:
    """(b, K', N): where the rays enter the pieces of a group, or 0."""
    normals, offsets = pieces.normals[:, group, :count], pieces.offsets[:, group, :count]
    shape = normals.shape[:3]
    normals, offsets = normals.flatten(1, 2), offsets.flatten(1, 2)
    height = (normals @ pose[:, :3, 3:]).squeeze(-1) - offsets
    above = height > 0
    # a camera on a plane counts as just off it
    height = torch.where(above, height.clamp(min=1e-6), height.clamp(max=-1e-6))
    bound = normals @ pose[:, :3, :3] / -height[..., None]  # (b, K' P, 3), in camera space
    # directions have z = 1, so that a bound in z alone is constant
    never = bound.new_tensor((0.0, 0.0, _FAR_OFF))
    d = directions.mT.contiguous()
    upper: Tensor = torch.bmm(torch.where(above[..., None], bound, never), d).unflatten(1, shape[1:]).amin(2)
    lower = torch.bmm(torch.where(above[..., None], -never, bound), d).unflatten(1, shape[1:]).amax(2)
    return upper.mul_((upper >= lower) & (upper > 0))


def faces(pieces: Pieces, row: Tensor, number: Tensor, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """For points (M, 3) on the surface of piece ``number`` (M,) of object ``row`` (M,): face, normal, heights.

    Returns which half-space's plane the point lies on (M,), its normal (M, 3), and the heights (M, P) above all planes.
    """
    normals = pieces.normals[row, number]
    heights = (normals * points[:, None]).sum(-1) - pieces.offsets[row, number]
    face = heights.argmax(-1)
    return face, normals[torch.arange(len(face), device=face.device), face], heights
