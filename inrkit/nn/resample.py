"""Values on a grid at another size, along any number of axes."""

import functools
import math
from collections.abc import Sequence

import torch
from torch import Tensor


def resample(values: Tensor, size: tuple[int, ...], *, closed: Sequence[bool] = ()) -> Tensor:
    """Values (B, C, *old) to (B, C, *size): linear between centers of cells, and smoothed first where made smaller.

    Laws: a constant stays what it is; the same size gives the same values; what is made smaller by a whole factor
    keeps its mean along a closed axis.

    Args:
        closed: For each axis, whether its end meets its beginning; elsewhere the outermost cells go on.
            By default none.
    """
    for axis, n in enumerate(size):
        old = values.shape[2 + axis]
        if old != n:
            taps = _kept_taps if max(old, n) <= _LARGEST_KEPT else _taps
            index, weight = taps(old, n, bool(closed[axis]) if closed else False)
            index, weight = (x.to(values.device, non_blocking=True) for x in (index, weight))
            values = _along(values, 2 + axis, index, weight.to(values.dtype))
    return values


def _along(values: Tensor, axis: int, index: Tensor, weight: Tensor) -> Tensor:
    """Weighted sums over taps (n, K) along one axis."""
    moved = values.movedim(axis, -1)
    total = moved[..., index[:, 0]] * weight[:, 0]
    for tap in range(1, index.shape[1]):
        total = torch.addcmul(total, moved[..., index[:, tap]], weight[:, tap])
    return total.movedim(-1, axis)


def _taps(old: int, n: int, closed: bool) -> tuple[Tensor, Tensor]:
    """Which old cells make up each new one, and how much: a triangle as wide as the larger of the two cells."""
    scale = old / n
    reach = max(scale, 1.0)
    places = (torch.arange(n, dtype=torch.float64) + 0.5) * scale - 0.5  # centers of new cells among old ones
    first = (places - reach).floor().long()
    index = first[:, None] + torch.arange(math.ceil(2 * reach) + 2)
    weight = (1 - (index - places[:, None]).abs() / reach).clamp_min(0)
    weight = weight / weight.sum(1, keepdim=True)
    return (index % old if closed else index.clamp(0, old - 1)), weight.float()


_kept_taps = functools.lru_cache(64)(_taps)
_LARGEST_KEPT = 1 << 13  # those of a long recording would fill the memory
