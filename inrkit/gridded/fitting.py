"""How signals fit a model: in words, what was done to one for that, and how far values are spread."""

import math
from collections.abc import Sequence

from torch import Tensor

from inrkit.core.resolution import shown_size
from inrkit.errors import DataError

_WITHIN = 1.01  # resampling overshoots a little
_FAR = 20.0  # from zero: floats of 0 to 255 are farther off


def fitting(old: Sequence[int], part: Sequence[slice], new: Sequence[int]) -> str:
    """ "32 x 32 from 128 x 128", and whether it was cropped or stretched; "" for what is as it was."""
    if tuple(old) == tuple(new):
        return ""
    kept = tuple(chosen.stop - chosen.start for chosen in part)
    larger = max(n / k for n, k in zip(new, kept, strict=True))
    text = f"{shown_size(new)} from {shown_size(old)}{f', enlarged {larger:.3g} times' if larger > 1 else ''}"
    if kept != tuple(old):
        return f"{text}, cropped to the centre, {shown_size(kept)}"
    ratios = [n / m for n, m in zip(new, old, strict=True)]
    return text if max(ratios) < 1.02 * min(ratios) else f"{text}, not in proportion"


def span_of(values: Tensor) -> float | None:
    """What values are divided by so that they lie in [-1, 1]; None where they do."""
    most = float(values.abs().max())
    if most <= _WITHIN:
        return None
    digits = 2 - math.floor(math.log10(most))
    return float(math.ceil(most * 10**digits) / 10**digits)


def spread_of(values: Tensor, title: str, span: float) -> float:
    """The standard deviation of clean values over span, of data with this title, that a network reckons with."""
    if (most := float(values.abs().max())) > _FAR:
        raise DataError(
            f"expected values on about [-1, 1] from {title}, found up to {most:g}; scale them, or name their range in "
            "the address, as in 'hdf5://FILE?range=LOW,HIGH'"
        )
    return round(max(float(values.std()) / span, 0.01), 3)
