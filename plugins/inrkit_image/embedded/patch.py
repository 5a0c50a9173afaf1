"""How much of each sample a shape covers, kept for a window of the pictures outside of which it covers nothing."""

from typing import TypeAlias, final

import attrs
import torch
from torch import Tensor

Window: TypeAlias = tuple[slice, ...]
"""Rows and columns of samples, and pictures: (start, stop) each."""


@final
@attrs.frozen(eq=False)
class Patch:
    """A shape in each of some pictures: coverage (h, w, B) in one window."""

    window: Window
    cover: Tensor

    @property
    def empty(self) -> bool:
        """Whether there is nothing of it to be seen."""
        return self.cover.numel() == 0

    def __mul__(self, other: "Patch") -> "Patch":
        """Where both are: the product."""
        window = common(self.window, other.window)
        return Patch(window, self.within(window) * other.within(window))

    def within(self, window: Window) -> Tensor:
        """A view of the part in a window that lies in ours."""
        spans = zip(window, self.window, strict=True)
        return self.cover[tuple(slice(part.start - own.start, part.stop - own.start) for part, own in spans)]


def either(a: Patch, b: Patch) -> Patch:
    """A union of shapes that overlap or keep apart: the maximum."""
    if a.empty or b.empty:
        return b if a.empty else a
    spans = list(zip(a.window, b.window, strict=True))
    window = tuple(slice(min(one.start, two.start), max(one.stop, two.stop)) for one, two in spans)
    union = Patch(window, a.cover.new_zeros([span.stop - span.start for span in window]))
    union.within(a.window).copy_(a.cover)
    part = union.within(b.window)
    torch.maximum(part, b.cover, out=part)
    return union


def without(a: Patch, b: Patch) -> Patch:
    """What is left of ``a``: a (1 - b)."""
    window = common(a.window, b.window)
    left = Patch(a.window, a.cover.clone())
    part = left.within(window)
    part.sub_(part * b.within(window))
    return left


def common(a: Window, b: Window) -> Window:
    """Where both are; nowhere if they do not meet."""
    spans = [(max(one.start, two.start), min(one.stop, two.stop)) for one, two in zip(a, b, strict=True)]
    if any(stop <= start for start, stop in spans):
        return tuple(slice(span.start, span.start) for span in a)
    return tuple(slice(*span) for span in spans)


NOTHING = Patch((slice(0, 0),) * 3, torch.zeros(0, 0, 0))
