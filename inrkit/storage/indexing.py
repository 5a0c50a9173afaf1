"""numpy's indexing of one axis, for arrays on disk that are best read one run of items at a time."""

from collections.abc import Callable, Sequence
from typing import SupportsIndex, TypeAlias

import numpy as np

Index: TypeAlias = SupportsIndex | slice | Sequence[int] | np.ndarray


def take(read: Callable[[int | slice], np.ndarray], index: Index, length: int) -> np.ndarray:
    """``array[index]`` along an axis of ``length``, where ``read`` knows only numbers and forward slices.

    Order and repetitions are those asked for; each run of neighbours is read once.
    """
    if isinstance(index, slice):
        start, stop, step = index.indices(length)
        if step > 0:
            return read(slice(start, max(start, stop), step))
    places = positions(index, length)
    if places.ndim == 0:
        return read(int(places))
    if places.size == 0:
        return read(slice(0, 0))
    unique, inverse = np.unique(places, return_inverse=True)
    runs = np.split(unique, np.flatnonzero(np.diff(unique) != 1) + 1)
    parts = [read(slice(int(run[0]), int(run[-1]) + 1)) for run in runs]
    together = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return together if len(inverse) == len(unique) and bool(np.all(np.diff(inverse) == 1)) else together[inverse]


def positions(index: Index, length: int) -> np.ndarray:
    """The index as numbers from 0 to ``length`` - 1: no axis for one number, one axis for several."""
    places = np.asarray(index) if not isinstance(index, slice) else np.arange(length)[index]
    if places.size and (places.ndim > 1 or places.dtype.kind not in "iu"):
        raise TypeError(f"expected a number, a slice or a sequence of whole numbers as index, found {index!r}")
    # numpy counts from the end and refuses what is not there
    return np.asarray(np.arange(length)[places.astype(np.int64)])
