"""Dropout whose mask can be shared between two passes.

Consistency training compares a student at t with a teacher at r under the same mask (iCT). Restoring the random state
achieves that only when both passes have the same rows in the same order; here the mask of a row depends on a seed,
the layer and the row's number in the global batch alone. So the teacher may run on fewer rows, and the result does not
depend on the device's random state or on how the batch is split over processes.
"""

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inrkit.core.draws import seed_of
from inrkit.errors import UsageError


@final
class _Masks:
    """The masks of one pass over ``rows`` (B,) of a global batch of ``total``, after the first ``drawn`` of them."""

    def __init__(self, seed: int, total: int, rows: Tensor, drawn: int = 0) -> None:
        self.seed, self.total, self.rows, self.drawn = seed, total, rows, drawn

    def next(self, x: Tensor, p: float) -> Tensor:
        """The k-th dropout layer that the pass meets asks for the k-th mask."""
        self.drawn += 1
        generator = torch.Generator(x.device).manual_seed(seed_of(self.seed, "dropout", self.drawn))
        last = x.stride(1) == 1 and x.ndim > 2  # channels beside each other in memory: so shall the mask's be
        shape = x.movedim(1, -1).shape[1:] if last else x.shape[1:]
        mask = _kept((self.total, *shape), p, generator)[self.rows].to(x.dtype).div_(1 - p)
        return mask.movedim(-1, 1) if last else mask


_masks: ContextVar[_Masks | None] = ContextVar("inrkit_dropout_masks", default=None)


@contextmanager
def _drawing(masks: _Masks) -> Iterator[None]:
    token = _masks.set(masks)
    try:
        yield
    finally:
        _masks.reset(token)


def shared_dropout(seed: int, total: int, rows: Tensor) -> AbstractContextManager[None]:
    """Inside, `SharedDropout` layers draw masks for these ``rows`` (B,) of a global batch of ``total``."""
    return _drawing(_Masks(seed, total, rows))


def dropped_again() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """For a part of a pass that is computed twice: nothing now, and then the masks that are next now."""
    masks = _masks.get()
    if masks is None:
        return nullcontext(), nullcontext()
    return nullcontext(), _drawing(_Masks(masks.seed, masks.total, masks.rows, masks.drawn))


def _kept(shape: tuple[int, ...], p: float, generator: torch.Generator) -> Tensor:
    """Which elements stay: each with probability 1 - p, by 16 random bits; a processor draws 64 at a time."""
    count = math.prod(shape)
    drawn = torch.empty(-(-count // 4), dtype=torch.int64, device=generator.device)
    bits = drawn.random_(-(1 << 63), None, generator=generator).view(torch.int16)[:count]
    return (bits >= round(p * (1 << 16)) - (1 << 15)).view(shape)


@final
class SharedDropout(nn.Module):
    """Dropout that takes its mask from `shared_dropout` when inside one, and is ordinary dropout otherwise."""

    def __init__(self, p: float = 0.0) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise UsageError(f"'p' must be at least 0 and below 1 (got {p})")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """x (B, ...) with elements dropped in training; unchanged otherwise."""
        if not self.training or self.p == 0:
            return x
        masks = _masks.get()
        return F.dropout(x, self.p) if masks is None else x * masks.next(x, self.p)
