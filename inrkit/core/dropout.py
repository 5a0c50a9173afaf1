"""Dropout whose mask can be shared between two passes.

Consistency training compares a student at t with a teacher at r under the same mask (iCT). Restoring the random state
achieves that only when both passes have the same rows in the same order; here the mask of a row depends on a seed,
the layer and the row's number in the global batch alone. So the teacher may run on fewer rows, and the result does not
depend on the device's random state or on how the batch is split over processes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inrkit.core.draws import seed_of
from inrkit.errors import UsageError


class _Masks:
    """The masks of one pass: the k-th dropout layer it meets asks for the k-th mask."""

    def __init__(self, seed: int, total: int, rows: Tensor) -> None:
        self.seed, self.total, self.rows = seed, total, rows
        self.layer = 0

    def next(self, x: Tensor, p: float) -> Tensor:
        self.layer += 1
        generator = torch.Generator(x.device).manual_seed(seed_of(self.seed, "dropout", self.layer))
        keep = torch.rand(self.total, *x.shape[1:], generator=generator, device=x.device) >= p
        return keep[self.rows].to(x.dtype) / (1 - p)


_masks: ContextVar[_Masks | None] = ContextVar("inrkit_dropout_masks", default=None)


@contextmanager
def shared_dropout(seed: int, total: int, rows: Tensor) -> Iterator[None]:
    """Inside, `SharedDropout` layers draw masks for these ``rows`` (B,) of a global batch of ``total``."""
    token = _masks.set(_Masks(seed, total, rows))
    try:
        yield
    finally:
        _masks.reset(token)


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
