"""HDF5 files of any program."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, final

import h5py
import numpy as np

from inrkit import DataError
from inrkit_sources.arrays import ArrayOpener, ArrayOptions, Rows

_FILTERS = {1: "gzip", 2: "shuffle", 3: "fletcher32", 32000: "lzf"}
"""Those that the library itself has: others are programs, which would be looked for on the disk."""
_CURE = "copy the data into one file, or name the file that has them"
_CACHE = 64 << 20  # bytes of chunks that a process keeps


@final
class Hdf5Rows(Rows):
    """One dataset, and one of labels. No link leads out of the file, and none is followed."""

    def __init__(self, path: Path, axes: int, options: ArrayOptions) -> None:
        self.path, self._file = path.absolute(), None
        with _opened(self.path) as file:
            self.array = options.array or self._only(file, axes)
            dataset = _dataset(file, self.array, path)
            self.title, self.shape, self.dtype = f"{path.name}:{self.array}", tuple(dataset.shape), dataset.dtype
            self._labels = None
            if options.labels is not None:
                self._labels = np.asarray(_dataset(file, options.labels, path)).reshape(-1)

    def read(self, numbers: Sequence[int]) -> np.ndarray:
        if self._file is None:
            self._file = _opened(self.path)
        dataset = _dataset(self._file, self.array, self.path)
        found = np.empty((len(numbers), *self.shape[1:]), self.dtype)
        try:
            for i in np.argsort(numbers):  # in the order of the file, where a chunk has several
                dataset.read_direct(found, np.s_[numbers[i]], np.s_[i])
        except (OSError, RuntimeError, IndexError) as error:
            raise DataError(f"{self.path}: expected readable signals, found {' '.join(str(error).split())}") from error
        return found

    def labels(self) -> np.ndarray | None:
        return self._labels

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None}

    def _only(self, file: Any, axes: int) -> str:
        found = {name: dataset.shape for name, dataset in _datasets(file) if dataset.dtype.kind in "uif"}
        fitting = [name for name, shape in found.items() if len(shape) in (axes + 1, axes + 2)]
        if len(fitting) != 1:
            there = ", ".join(f"{name} {shape}" for name, shape in found.items()) or "none that lies in it"
            hint = "choose by '?array=NAME'" if found else f"links are not followed: {_CURE}"
            raise DataError(f"{self.path}: expected one array of signals, found {there}; {hint}")
        return fitting[0]


@final
class Hdf5Opener(ArrayOpener):
    """``hdf5://FILE?array=PATH``: the rows of one dataset."""

    name = "hdf5"

    def rows(self, path: Path, axes: int, options: ArrayOptions) -> Rows:
        return Hdf5Rows(path, axes, options)


def _opened(path: Path) -> Any:
    try:
        return h5py.File(path, "r", rdcc_nbytes=_CACHE)
    except OSError as error:
        raise DataError(f"{path}: expected an HDF5 file, found {' '.join(str(error).split())[:120]}") from error


def _datasets(group: Any, prefix: str = "", depth: int = 8) -> Iterator[tuple[str, Any]]:
    """All datasets by path, without following links."""
    for name in group:
        if isinstance(group.get(name, getlink=True), h5py.HardLink):
            item = group[name]
            if isinstance(item, h5py.Dataset):
                yield prefix + name, item
            elif isinstance(item, h5py.Group) and depth:
                yield from _datasets(item, f"{prefix}{name}/", depth - 1)


def _dataset(file: Any, name: str, path: Path) -> Any:
    """The dataset of this name, whose data are in the file, and which no program besides HDF5 is needed to read."""
    item = file
    for part in filter(None, name.split("/")):
        link = item.get(part, getlink=True) if isinstance(item, h5py.Group) and part not in (".", "..") else None
        if link is None:
            there = ", ".join(known for known, _ in _datasets(file)) or "none"
            raise DataError(f"{path}: expected an array '{name}', found none of that name; there are {there}")
        if not isinstance(link, h5py.HardLink):
            raise DataError(
                f"{path}: expected '{name}' in the file itself, found a link, which is not followed; {_CURE}"
            )
        item = item[part]
    if not isinstance(item, h5py.Dataset):
        raise DataError(f"{path}: expected '{name}' to be an array, found a group; name one inside of it")
    if item.external or item.is_virtual:
        raise DataError(
            f"{path}: expected the data of '{name}' in the file itself, found that they lie in others; {_CURE}"
        )
    plan = item.id.get_create_plist()
    filters = [plan.get_filter(i)[0] for i in range(plan.get_nfilters())]
    if foreign := [number for number in filters if number not in _FILTERS]:
        allowed = ", ".join(_FILTERS.values())
        raise DataError(f"{path}: expected the filters {allowed}, found number {foreign[0]}; repack it by h5repack")
    return item
