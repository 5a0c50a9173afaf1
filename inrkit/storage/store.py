"""A store: one HDF5 file of signals, written once, complete in itself, read by item from any number of workers.

Arrays have the items along their first axis; attributes are whatever JSON can hold, such as units or class names. The
layout on disk and what guards it are in ``storefile``.
"""

import contextlib
import json
import os
import subprocess
import sys
from io import FileIO
from pathlib import Path
from typing import Any, final

import numpy as np

from inrkit.errors import DataError, UsageError
from inrkit.progress import Progress, quiet
from inrkit.storage import fileerror, jsontext, storefile, verified
from inrkit.storage.indexing import Index, positions
from inrkit.storage.rows import read_rows


@final
class Store(contextlib.AbstractContextManager["Store"]):
    """A written store, opened when first read in each process, so that it can be handed to workers of any kind.

    ``store.read("rgb", 3)`` is one item; slices and sequences of numbers give several, in the order asked for.
    ``store.sha256`` identifies the data.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path).absolute()
        self._file: FileIO | None = None
        self._pid = 0
        self._seen, self.sha256 = storefile.verify_hash(self.path)
        self.modality, self.attributes, self._layouts = storefile.contents(self.path)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the arrays, sorted."""
        return tuple(self._layouts)

    def __len__(self) -> int:
        """The number N of items, the same for every array."""
        return next(iter(self._layouts.values())).shape[0]

    def shape(self, name: str) -> tuple[int, ...]:
        """(N, ...) of one array."""
        return self._known(name).shape

    def dtype(self, name: str) -> np.dtype[Any]:
        """The element type of one array."""
        return self._known(name).dtype

    def read(self, name: str, index: Index, within: Index | None = None) -> np.ndarray:
        """``array[index]``, or ``array[index][:, within]`` (such as some views) without reading the rest of the items.

        A number takes its axis away, as in numpy; negative ones count from the end.
        """
        layout = self._known(name)
        items = positions(index, layout.shape[0])
        if within is None:
            values = read_rows(self._open(), layout, items.reshape(-1))
            shape: tuple[int, ...] = (*items.shape, *layout.shape[1:])
        elif len(layout.shape) < 2:
            raise UsageError(f"'within' needs an array with a second axis; '{name}' has shape {layout.shape}")
        else:
            parts = positions(within, layout.shape[1])
            values = read_rows(self._open(), layout, items.reshape(-1), parts.reshape(-1))
            shape = (*items.shape, *parts.shape, *layout.shape[2:])
        storefile.check_finite(self.path, name, values, items.reshape(-1).tolist)
        return values.reshape(shape)

    def close(self) -> None:
        """Close this process' handle; reading again opens it again."""
        if self._file is not None:
            self._file.close()
        self._file = None

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if "_file" in self.__dict__:
            self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None, "_pid": 0}

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r}, modality={self.modality!r}, items={len(self)}, arrays={list(self.names)})"

    def _known(self, name: str) -> storefile.Layout:
        if name not in self._layouts:
            raise DataError(f"{self.path}: expected an array named '{name}', found {', '.join(self._layouts)}")
        return self._layouts[name]

    def _open(self) -> FileIO:
        """The handle of this process: one inherited by fork is replaced, and what was written to is verified anew."""
        mine = self._file if self._pid == os.getpid() else None
        if mine is not None and self._seen.is_unwritten(os.fstat(mine.fileno())):
            return mine
        self.close()
        if verified.Seen.of(self.path) != self._seen:
            self._seen, found = storefile.verify_hash(self.path)
            if found != self.sha256:
                raise fileerror.altered(self.path, self.sha256, found, "it was replaced meanwhile")
        self._file, self._pid = FileIO(self.path), os.getpid()
        return self._file


def verify_store(path: Path | str, progress: Progress = quiet) -> dict[str, Any]:
    """Compare the hash anew and read everything once, in a child process; a summary fit for printing.

    The child keeps a file that was made to crash or exhaust the HDF5 library from doing so here.
    """
    path = Path(path).absolute()
    storefile.verify_hash(path, anew=True, progress=progress)
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


def ranges(store: Store, progress: Progress = quiet) -> dict[str, tuple[float, float, float]]:
    """(lowest, highest, mean) of the values of each array, read 64 MB at a time."""
    found: dict[str, tuple[float, float, float]] = {}
    sizes = {name: max(1, storefile.nbytes(store.shape(name), store.dtype(name))) for name in store.names}
    done, total = 0, sum(sizes.values())
    for name, size in sizes.items():
        step = max(1, (64 << 20) * len(store) // size)
        parts = []
        for start in range(0, len(store), step):
            part = store.read(name, slice(start, start + step))
            parts.append((part.min(), part.max(), part.sum(dtype=np.float64), part.size))
            done += part.nbytes
            progress(done >> 20, total >> 20, "reading MiB")
        low, high, sums, sizes_read = zip(*parts, strict=True)
        found[name] = (float(min(low)), float(max(high)), float(sum(sums) / sum(sizes_read)))
    return found


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
