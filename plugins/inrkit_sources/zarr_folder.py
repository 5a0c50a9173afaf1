"""Zarr stores on this machine's disk."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import numpy as np

from inrkit import DataError, UsageError
from inrkit_sources.arrays import ArrayOpener, ArrayOptions, Rows


@final
class ZarrRows(Rows):
    """One array of a store."""

    def __init__(self, path: Path, options: ArrayOptions) -> None:
        self._array: Any = _array(path, options.array)
        self.title, self.shape, self.dtype = path.name, tuple(self._array.shape), np.dtype(self._array.dtype)
        self._labels = None if options.labels is None else np.asarray(_array(path, options.labels)[:]).reshape(-1)

    def read(self, numbers: Sequence[int]) -> np.ndarray:
        try:
            return np.stack([np.asarray(self._array[number]) for number in numbers])
        except (OSError, ValueError, RuntimeError) as error:
            raise DataError(f"{self.title}: expected readable signals, found {str(error)[:120]}") from error

    def labels(self) -> np.ndarray | None:
        return self._labels


@final
class ZarrOpener(ArrayOpener):
    """``zarr://FOLDER?array=PATH``."""

    name = "zarr"

    def rows(self, path: Path, axes: int, options: ArrayOptions) -> Rows:
        return ZarrRows(path, options)


def _array(path: Path, name: str | None) -> Any:
    try:
        import zarr
    except ImportError as error:
        command = 'pip install "inrkit[zarr]"'
        raise UsageError(f"'zarr://' needs zarr, which is not installed; run: {command}") from error
    if name is not None and ".." in Path(name).parts:
        raise UsageError(f"'array' must be a path inside of the store (got '{name}')")
    try:
        found = zarr.open(str(path.absolute()), mode="r", path=name)
    except Exception as error:  # it has errors of many kinds
        raise DataError(f"{path}: expected a zarr store, found {' '.join(str(error).split())[:120]}") from error
    if not isinstance(found, zarr.Array):
        there = ", ".join(sorted(key for key, _ in found.arrays())) or "none"
        raise DataError(f"{path}: expected one array, found a group; choose by '?array=NAME' one of {there}")
    return found
