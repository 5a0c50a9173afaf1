"""numpy's indexing of one axis, for arrays on disk."""

from collections.abc import Sequence
from typing import SupportsIndex, TypeAlias

import numpy as np

Index: TypeAlias = SupportsIndex | slice | Sequence[int] | np.ndarray


def positions(index: Index, length: int) -> np.ndarray:
    """The index as numbers from 0 to ``length`` - 1: no axis for one number, one axis for several."""
    places = np.asarray(index) if not isinstance(index, slice) else np.arange(length)[index]
    if places.size and (places.ndim > 1 or places.dtype.kind not in "iu"):
        raise TypeError(f"expected a number, a slice or a sequence of whole numbers as index, found {index!r}")
    # numpy counts from the end and refuses what is not there
    return np.asarray(np.arange(length)[places.astype(np.int64)])
