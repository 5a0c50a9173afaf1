"""Arrays of numpy: one file of many signals, or a folder with a file for each. Pickles are refused."""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import final

import numpy as np

from inrkit import DataError
from inrkit_sources.arrays import ArrayOpener, ArrayOptions, Rows

_ENDINGS = (".npy", ".npz")


@final
class NumpyRows(Rows):
    """One .npy, which stays on the disk, or one .npz, which is read into memory."""

    def __init__(self, path: Path, options: ArrayOptions) -> None:
        self._array, self.title = _load(path, options.array), path.name
        self.shape, self.dtype = self._array.shape, self._array.dtype
        self._labels = None if options.labels is None else np.asarray(_load(path, options.labels)).reshape(-1)

    def read(self, numbers: Sequence[int]) -> np.ndarray:
        return np.asarray(self._array[np.asarray(numbers, np.int64)])

    def labels(self) -> np.ndarray | None:
        return self._labels


@final
class FolderRows(Rows):
    """Files of one signal each, all of one shape, sorted by name; names are paths inside of the folder."""

    def __init__(self, path: Path, options: ArrayOptions) -> None:
        self._folder, self._key, self.title = path.absolute(), options.array, path.name
        files = [
            file for file in path.rglob("*") if file.suffix in _ENDINGS and file.is_file() and not file.is_symlink()
        ]
        self._files = sorted(str(file.relative_to(path)) for file in files)
        if not self._files:
            raise DataError(f"{path}: expected .npy or .npz files, found none")
        first = _load(self._folder / self._files[0], self._key)
        self.shape, self.dtype = (len(self._files), *first.shape), first.dtype

    def read(self, numbers: Sequence[int]) -> np.ndarray:
        found = np.empty((len(numbers), *self.shape[1:]), self.dtype)
        for i, number in enumerate(numbers):
            array = _load(self._folder / self._files[number], self._key)
            if array.shape != self.shape[1:] or array.dtype != self.dtype:
                there, wanted = f"{array.dtype} {array.shape}", f"{self.dtype} {self.shape[1:]}, as the first is"
                raise DataError(f"{self._folder / self._files[number]}: expected {wanted}, found {there}")
            found[i] = array
        return found

    def names(self) -> Sequence[str]:
        return self._files


@final
class NumpyOpener(ArrayOpener):
    """``numpy://FILE.npy``, ``numpy://FILE.npz?array=NAME`` or ``numpy://FOLDER``."""

    name = "numpy"

    def rows(self, path: Path, axes: int, options: ArrayOptions) -> Rows:
        return FolderRows(path, options) if path.is_dir() else NumpyRows(path, options)


def _load(path: Path, key: str | None) -> np.ndarray:
    """One array; of a .npz with several, the one of this name."""
    try:
        if path.suffix != ".npz":
            array: np.ndarray = np.lib.format.open_memmap(path, mode="r")
            return array
        with np.load(path, allow_pickle=False) as file:
            names = file.files
            if (key is None and len(names) != 1) or (key is not None and key not in names):
                raise DataError(f"{path}: expected one array, found {', '.join(names)}; choose by '?array=NAME'")
            return np.asarray(file[key or names[0]])
    except (OSError, ValueError, EOFError, TypeError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: expected an array of numbers, found {' '.join(str(error).split())[:120]}") from error
