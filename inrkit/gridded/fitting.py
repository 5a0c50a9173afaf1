"""In words, what was done to a signal so that it fits a model."""

from collections.abc import Sequence

from inrkit.nn.grid import shown_size


def fitting(old: Sequence[int], part: Sequence[slice], new: Sequence[int]) -> str:
    """ "32 x 32 from 128 x 128", and whether it was cropped or stretched; "" for what is as it was."""
    if tuple(old) == tuple(new):
        return ""
    kept = tuple(chosen.stop - chosen.start for chosen in part)
    text = f"{shown_size(new)} from {shown_size(old)}"
    if kept != tuple(old):
        return f"{text}, cropped to the centre, {shown_size(kept)}"
    ratios = [n / m for n, m in zip(new, old, strict=True)]
    return text if max(ratios) < 1.02 * min(ratios) else f"{text}, not in proportion"
