"""A store: one HDF5 file of signals, written once, complete in itself, read by item from any number of workers.

Arrays have the items along their first axis; attributes are whatever JSON can hold, such as units or class names. The
layout on disk and what guards it are in ``storefile``.
"""

import contextlib
import functools
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, final

import h5py
import numpy as np
from torch import Tensor

from inrkit.errors import DataError, UsageError
from inrkit.storage import atomic, jsontext, storefile
from inrkit.storage.indexing import Index, positions, take


def write_store(
    path: Path,
    modality: str,
    arrays: Mapping[str, np.ndarray | Tensor],
    attributes: Mapping[str, Any] | None = None,
    *,
    overwrite: bool = False,
) -> Path:
    """Write arrays or tensors (N, ...) of integers or finite floats, and JSON attributes, as one file, atomically.

    The file is put together in memory (about twice its size), because HDF5 does not survive a disk that fills up.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        advice = "stores are written once, choose another name"
        raise UsageError(f"{path}: expected a new file, found an existing one; {advice}")
    checked = storefile.as_arrays(path, arrays)
    meta = jsontext.encode({"modality": modality, "attributes": dict(attributes or {})}, what="attributes")
    image = storefile.image_of(checked, meta)
    atomic.write_bytes(path, storefile.header(atomic.sha256(image), len(image)), image)
    return path


@final
class Store(contextlib.AbstractContextManager["Store"]):
    """A written store, opened when first read in each process, so that it can be handed to workers of any kind.

    ``store.read("rgb", 3)`` is one item; slices and sequences of numbers give several, in the order asked for.
    ``store.sha256`` identifies the data.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path).absolute()
        self._file: h5py.File | None = None
        self._pid = 0
        self._seen, self.sha256 = storefile.verify_hash(self.path)
        file = self._open()
        self.modality, self.attributes = storefile.read_meta(self.path, file)
        arrays = [name for name in file if name != storefile.META]
        self._shapes: dict[str, tuple[int, ...]] = {name: file[name].shape for name in arrays}
        self._dtypes: dict[str, np.dtype[Any]] = {name: file[name].dtype for name in arrays}

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the arrays, sorted."""
        return tuple(self._shapes)

    def __len__(self) -> int:
        """The number N of items, the same for every array."""
        return next(iter(self._shapes.values()))[0]

    def shape(self, name: str) -> tuple[int, ...]:
        """(N, ...) of one array."""
        return self._shapes[self._known(name)]

    def dtype(self, name: str) -> np.dtype[Any]:
        """The element type of one array."""
        return self._dtypes[self._known(name)]

    def read(self, name: str, index: Index, within: Index | None = None) -> np.ndarray:
        """``array[index]``, or ``array[index][:, within]`` (such as some views) without reading the rest of the items.

        A number takes its axis away, as in numpy; negative ones count from the end.
        """
        dataset = self._open()[self._known(name)]
        items = positions(index, dataset.shape[0])
        numbers: list[int] = items.reshape(-1).tolist()
        if within is None:
            values = take(dataset.__getitem__, index, dataset.shape[0])
        elif dataset.ndim < 2:
            raise UsageError(f"'within' needs an array with a second axis; '{name}' has shape {dataset.shape}")
        else:
            readers = (functools.partial(lambda item, part: dataset[item, part], item) for item in numbers)
            rows = [take(reader, within, dataset.shape[1]) for reader in readers]
            values = rows[0] if items.ndim == 0 else np.stack(rows) if rows else dataset[0:0][:, within]
        storefile.check_finite(self.path, name, values, numbers)
        return values

    def close(self) -> None:
        """Close this process' handle; reading again opens it again."""
        if self._file is not None:
            self._file.close()
        self._file = None

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None, "_pid": 0}

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r}, modality={self.modality!r}, items={len(self)}, arrays={list(self.names)})"

    def _known(self, name: str) -> str:
        if name not in self._shapes:
            raise DataError(f"{self.path}: expected an array named '{name}', found {', '.join(self._shapes)}")
        return name

    def _open(self) -> h5py.File:
        """The handle of this process: one inherited by fork is replaced, not shared."""
        if self._file is None or self._pid != os.getpid():
            self.close()
            if storefile.seen(self.path) != self._seen:
                self._seen, found = storefile.verify_hash(self.path)
                if found != self.sha256:
                    raise atomic.altered(self.path, self.sha256, found, "it was replaced meanwhile")
            self._file, self._pid = storefile.open_checked(self.path), os.getpid()
        return self._file


def verify_store(path: Path | str) -> dict[str, Any]:
    """Compare the hash anew and read everything once, in a child process; a summary fit for printing.

    The child keeps a file that was made to crash or exhaust the HDF5 library from doing so here.
    """
    path = Path(path).absolute()
    storefile.verify_hash(path, anew=True)
    program = f"import sys; sys.path[:] = sys.argv[2:]; from {__name__} import print_summary as p; p(sys.argv[1])"
    command = [sys.executable, "-I", "-c", program, str(path), *sys.path]
    patience = 60 + path.stat().st_size / 10e6
    try:
        child = subprocess.run(command, capture_output=True, timeout=patience, check=False)
    except subprocess.TimeoutExpired as error:
        expected = f"expected to be read within {patience:.0f} s"
        raise DataError(f"{path}: {expected}, found no end; not to be trusted") from error
    if child.returncode == 0:
        summary: dict[str, Any] = jsontext.decode(child.stdout, origin=str(path))
        return summary
    if child.returncode == DataError.exit_code:
        raise DataError(child.stdout.decode())
    raise DataError(f"{path}: expected a readable store, found one that ends its reader (status {child.returncode})")


def ranges(store: Store) -> dict[str, tuple[float, float, float]]:
    """(lowest, highest, mean) of the values of each array."""
    found = {}
    for name in store.names:
        parts = [(p.min(), p.max(), p.sum(dtype=np.float64), p.size) for p in _pieces(store, name)]
        low, high, total, size = zip(*parts, strict=True)
        found[name] = (float(min(low)), float(max(high)), float(sum(total) / sum(size)))
    return found


def _pieces(store: Store, name: str) -> Iterator[np.ndarray]:
    """The whole of an array, 64 MB at a time."""
    step = max(1, (64 << 20) * len(store) // max(1, storefile.nbytes(store.shape(name), store.dtype(name))))
    for start in range(0, len(store), step):
        yield store.read(name, slice(start, start + step))


def print_summary(path: str) -> None:
    """Read everything and print the summary as JSON; the child's half of `verify_store`."""
    room = (6 << 30) + os.stat(path).st_size
    with contextlib.suppress(ImportError):  # Windows has no such limits
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (room, room))
    try:
        with Store(path) as store:
            ranges(store)  # reads everything
            facts = {name: {"shape": store.shape(name), "dtype": str(store.dtype(name))} for name in store.names}
            summary = {"modality": store.modality, "items": len(store), "arrays": facts, "attributes": store.attributes}
            size, digest = storefile.read_header(store.path)
    except DataError as error:
        print(error, end="")
        sys.exit(DataError.exit_code)
    print(json.dumps({**summary, "bytes": size + storefile.BLOCK, "sha256": digest}))
