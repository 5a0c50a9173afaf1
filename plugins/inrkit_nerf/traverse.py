"""nerfacc's traversal: which samples of rays lie in occupied cells, without a place for any of the others.

By default `MarchRays` looks up all samples of a ray in the occupancy grid; nerfacc's CUDA kernel walks along the ray
from cell to cell. Each object's grid is a level of its own, as if their boxes lay far apart in space: a ray hits the
level of its object, and no other.
"""

import functools
import logging

import torch
from torch import Tensor

from inrkit_nerf.integrate import packed_works


def traverse(
    occupied: Tensor, low: Tensor, high: Tensor, begin: Tensor, end: Tensor, samples: int
) -> tuple[Tensor, Tensor]:
    """Which of a ray's ``samples`` equal intervals have their middle in an occupied cell.

    Args:
        occupied: Cells of each object, (B, N, N, N), the first axis being x.
        low, high: Corners of the box that they fill, (3,).
        begin, end: Where rays enter and leave it, (B, R, 3); the same place for those that miss it.
        samples: Intervals from the one to the other.

    Returns:
        Numbers of rays among B x R and of intervals, (P,) each, in their order.
    """
    import nerfacc

    objects, rays = begin.shape[:2]
    way = (end - begin).flatten(0, 1)  # distances along it are shares: all rays have the same step, and end at 1
    own = torch.eye(objects, device=way.device).repeat_interleave(rays, 0) > 0
    hits = own & (way != 0).any(1, keepdim=True)
    crossed = [torch.where(hits, share, torch.inf) for share in (0.0, 1.0)]  # what nerfacc's search of boxes would find
    planes, order = torch.cat(crossed, 1).sort(dim=1)
    _, found, _ = nerfacc.traverse_grids(
        begin.flatten(0, 1),
        way,
        occupied,
        torch.cat([low, high]).expand(objects, -1),
        step_size=1 / samples,
        t_sorted=planes,
        t_indices=order,
        hits=hits,
    )
    return found.ray_indices, (found.vals * samples).long()


@functools.cache
def traversal_works(device: torch.device) -> bool:
    """Whether nerfacc's kernels traverse grids on this device; a line says so where they do not."""
    side = torch.ones(3, device=device)
    begin = side.new_tensor([-1.0, 0.1, 0.2]).expand(2, 1, 3)
    works = False
    if packed_works(device):
        full = side.new_ones(2, 1, 1, 1) > 0
        ray, number = traverse(full, -side, side, begin, begin * side.new_tensor([-1.0, 1.0, 1.0]), 4)
        works = (ray.tolist(), number.tolist()) == ([0] * 4 + [1] * 4, [*range(4)] * 2)
    if not works:
        logging.getLogger("inrkit").warning(
            "'options.traversal' is on, but nerfacc's CUDA kernels do not compute on '%s'; they are not used",
            device,
        )
    return works
