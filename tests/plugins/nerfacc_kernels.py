"""nerfacc's CUDA kernels in plain Python, for machines without CUDA: version 0.5.3, `csrc/grid.cu` and `csrc/scan.cu`.

Beneath nerfacc's own Python, so that how that is called is tried as well.
"""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the rest of a test nerfacc computes on the processor."""
    from nerfacc import cuda, volrend

    monkeypatch.setattr(cuda, "traverse_grids", traverse_grids)
    monkeypatch.setattr(volrend, "pack_info", starts_and_counts)
    monkeypatch.setattr(cuda, "exclusive_sum", exclusive_sum)


def starts_and_counts(ray: Tensor, rays: int) -> Tensor:
    counts = ray.bincount(minlength=rays)
    return torch.stack([counts.cumsum(0) - counts, counts], 1)


def exclusive_sum(starts: Tensor, counts: Tensor, values: Tensor, normalize: bool, backward: bool) -> Tensor:
    assert (normalize, backward, values.is_contiguous()) == (False, False, True)
    assert torch.equal(starts, counts.cumsum(0) - counts)
    return torch.cat([part.cumsum(0) - part for part in values.split(counts.tolist())])


def traverse_grids(
    origins: Tensor,
    ways: Tensor,
    mask: Tensor,
    binaries: Tensor,
    boxes: Tensor,
    planes: Tensor,
    order: Tensor,
    hits: Tensor,
    near: Tensor,
    far: Tensor,
    step: float,
    cone: float,
    *rest: Any,
) -> tuple[Any, Any, None]:
    """Samples of each ray in occupied cells, with the checks that C++ makes of what it is given."""
    assert rest == (True, True, True, -1, False)
    assert (step > 0, cone) == (True, 0.0)
    rays, grids = len(origins), len(binaries)
    for given, shape, dtype in (
        (origins, (rays, 3), torch.float32),
        (ways, (rays, 3), torch.float32),
        (mask, (rays,), torch.bool),
        (binaries, (grids, *binaries.shape[1:]), torch.bool),
        (boxes, (grids, 6), torch.float32),
        (planes, (rays, 2 * grids), torch.float32),
        (order, (rays, 2 * grids), torch.int64),
        (hits, (rays, grids), torch.bool),
        (near, (rays,), torch.float32),
        (far, (rays,), torch.float32),
    ):
        assert given.shape == shape
        assert given.dtype == dtype
        assert given.is_contiguous()
    cells, device = binaries.cpu().numpy(), origins.device
    found = [
        _ray(*each, cells, boxes, step)
        for each in zip(
            origins.double().tolist(),
            ways.double().tolist(),
            planes.tolist(),
            order.tolist(),
            hits.tolist(),
            near.tolist(),
            far.tolist(),
            strict=True,
        )
    ]
    counts = torch.tensor([len(samples) for samples in found])
    samples = SimpleNamespace(
        vals=torch.tensor([middle for each in found for middle in each], device=device),
        ray_indices=torch.arange(rays).repeat_interleave(counts).to(device),
        chunk_starts=(counts.cumsum(0) - counts).to(device),
        chunk_cnts=counts.to(device),
        is_valid=torch.ones(int(counts.sum()), device=device) > 0,
    )
    edges = SimpleNamespace(
        vals=None, ray_indices=None, chunk_starts=None, chunk_cnts=None, is_left=None, is_right=None, is_valid=None
    )
    return edges, samples, None


def _ray(
    origin: list[float],
    way: list[float],
    planes: list[float],
    order: list[int],
    hits: list[bool],
    near: float,
    far: float,
    binaries: Any,
    boxes: Tensor,
    step: float,
) -> list[float]:
    """Middles of the samples of one ray, grid after grid in the order in which it crosses their planes."""
    grids, last, found = len(binaries), near, []
    for i in range(2 * grids - 1):
        level = order[i] % grids
        if not hits[level]:
            continue
        if order[i] >= grids:  # leaving; inside another one?
            if order[i + 1] < grids:
                continue
            level = order[i + 1] % grids
            if not hits[level]:
                continue
        begin, end = max(planes[i], near), min(planes[i + 1], far)
        if begin >= end:
            continue
        while last + step / 2 < begin:
            last += step
        last = _grid(origin, way, begin, end, binaries[level], boxes[level].tolist(), step, last, found)
    return found


def _grid(
    origin: list[float],
    way: list[float],
    begin: float,
    end: float,
    occupied: Any,
    box: list[float],
    step: float,
    last: float,
    found: list[float],
) -> float:
    """From cell to cell of one grid; where the last sample ended."""
    size, eps = occupied.shape, 1e-6

    def cell(axis: int, t: float) -> int:
        share = (origin[axis] + way[axis] * t - box[axis]) / (box[axis + 3] - box[axis])
        return min(max(int(share * size[axis]), 0), size[axis] - 1)

    index, final = ([cell(axis, t) for axis in range(3)] for t in (begin + eps, end - eps))
    side = [(box[axis + 3] - box[axis]) / size[axis] for axis in range(3)]
    sign = [(way[axis] > 0) - (way[axis] < 0) for axis in range(3)]
    following, delta = [end] * 3, [end] * 3
    for axis in range(3):
        if sign[axis]:
            face = box[axis] + (index[axis] + (sign[axis] > 0)) * side[axis]
            following[axis] = (face - origin[axis] - way[axis] * (begin + eps)) / way[axis] + begin
            delta[axis] = side[axis] / way[axis] * sign[axis]
    while True:
        until = min(*following, end)
        solid = bool(occupied[tuple(index)])
        while last + step / 2 < until:
            if solid:
                found.append(last + step / 2)
            last += step
        x, y, z = following
        axis = 0 if x < y and x < z else 1 if y < z else 2
        index[axis] += sign[axis]
        following[axis] += delta[axis]
        if index[axis] == final[axis] + sign[axis]:
            return last
