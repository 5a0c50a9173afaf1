"""numpy's indexing of one axis, for arrays on disk."""

from collections.abc import Sequence
from typing import SupportsIndex, TypeAlias

import numpy as np

Index: TypeAlias = SupportsIndex | slice | Sequence[int] | np.ndarray


def positions(index: Index, length: int) -> np.ndarray:
    """The index as numbers from 0 to ``length`` - 1: no axis for one number, one axis for several."""
    if isinstance(index, slice):
        return np.arange(*index.indices(length))
    places = np.asarray(index)
    if places.size and (places.ndim > 1 or places.dtype.kind not in "iu"):
        raise TypeError(f"expected a number, a slice or a sequence of whole numbers as index, found {index!r}")
    places = places.astype(np.int64, copy=False)
    if places.size and not -length <= places.min() <= places.max() < length:
        wrong = places.min() if places.min() < -length else places.max()
        raise IndexError(f"index {wrong} is out of bounds for axis 0 with size {length}")
    return np.where(places < 0, places + length, places) if places.size and places.min() < 0 else places
