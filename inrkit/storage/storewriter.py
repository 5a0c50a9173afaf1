"""Writing a store a few items at a time: whatever its size, a few megabytes of it are in memory."""

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, final

import h5py
import numpy as np
from numpy.typing import ArrayLike

from inrkit.errors import DataError, UsageError
from inrkit.storage import atomic, jsontext, storefile, verified
from inrkit.storage.blockfile import SIZE, BlockFile
from inrkit.storage.rows import read_rows

_PIECE = 16 << 20  # bytes of items that are handed over together


@final
class StoreWriter(contextlib.AbstractContextManager["StoreWriter"]):
    """A store in the making. It is at ``path`` when the block of ``with`` ends without an error, else nothing is::

        with StoreWriter(path, "image") as out:
            for image in images:
                out.append({"images": image[None]})
            out.attributes["title"] = "holidays"

    ``attributes`` hold whatever JSON can hold and are written last; ``skipped`` is for one line for each thing in a
    source that was left out, and ``remarks`` for what was done to signals or is odd about them.

    Args:
        modality: The name of the modality that understands the arrays.
        overwrite: Whether an existing file may be replaced.
    """

    def __init__(self, path: Path | str, modality: str, *, overwrite: bool = False) -> None:
        self.path, self.modality = Path(path), modality
        if self.path.exists() and not overwrite:
            advice = "stores are written once, choose another name"
            raise UsageError(f"{path}: expected a new file, found an existing one; {advice}")
        self.attributes: dict[str, Any] = {}
        self.skipped: list[str] = []
        self.remarks: list[str] = []
        self._count = 0
        self._part: _Part | None = None

    def __len__(self) -> int:
        """The number of items so far."""
        return self._count

    def append(self, arrays: Mapping[str, ArrayLike]) -> None:
        """Items (n, ...) of every array: integers or finite floats, each time of the same types and shapes."""
        checked = storefile.as_arrays(self.path, arrays)
        items = range(self._count, self._count + len(next(iter(checked.values()))))
        for name, values in checked.items():
            storefile.check_finite(self.path, name, values, lambda: items)
        if self._part is None:
            self._part = _Part(self.path, checked)
        self._part.append(checked)
        self._count = items.stop

    def convert(self, name: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
        """Change what is written of one array, for items to come of another type or shape.

        The items are read back and written anew, which takes their size on disk once more for that time.
        """
        if self._part is None:
            return
        old, self._part, self._count = self._part, None, 0
        try:
            old.close({"modality": self.modality, "attributes": {}})
            _, _, layouts = storefile.contents(old.file.unfinished)
            with open(old.file.unfinished, "rb", buffering=0) as file:
                count = next(iter(layouts.values())).shape[0]
                step = max(1, _PIECE // sum(layout.item_bytes for layout in layouts.values()))
                for start in range(0, count, step):
                    rows = np.arange(start, min(count, start + step))
                    found = {key: read_rows(file, layout, rows) for key, layout in layouts.items()}
                    self.append({**found, name: change(found[name])})
        finally:
            old.discard()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        part, self._part = self._part, None
        if part is None and kind is None:
            raise DataError(f"{self.path}: expected items for a store, found none")
        if part is None:
            return
        try:
            if kind is None:
                digest = part.close({"modality": self.modality, "attributes": self.attributes})
                part.put_in_place()
                verified.remember(verified.Seen.of(self.path), digest)
        finally:
            part.discard()


def write_store(
    path: Path,
    modality: str,
    arrays: Mapping[str, ArrayLike],
    attributes: Mapping[str, Any] | None = None,
    *,
    overwrite: bool = False,
) -> Path:
    """Write arrays or tensors (N, ...) of integers or finite floats, and JSON attributes, as one file, atomically."""
    with StoreWriter(path, modality, overwrite=overwrite) as out:
        out.attributes.update(attributes or {})
        jsontext.encode(out.attributes, what="attributes")  # before anything is written
        out.append(arrays)
    return Path(path)


@final
class _Column:
    """One array, and the items of its chunk that is being filled."""

    def __init__(self, array: np.ndarray) -> None:
        self.shape, self.dtype = array.shape[1:], array.dtype.newbyteorder("<")
        self.chunk = storefile.chunk_items(array.shape, array.dtype.itemsize)
        self.buffer = np.zeros((min(self.chunk, len(array)), *self.shape), self.dtype)
        self.filled = 0
        self.dataset: h5py.Dataset | None = None
        self.chunks = 0

    def put(self, values: np.ndarray) -> None:
        """As many items as there is room for in the chunk."""
        needed = self.filled + len(values)
        if needed > len(self.buffer):
            room = min(self.chunk, max(needed, 2 * len(self.buffer)))
            self.buffer = np.concatenate([self.buffer, np.zeros((room - len(self.buffer), *self.shape), self.dtype)])
        self.buffer[self.filled : needed] = values
        self.filled = needed


def _form(values: np.ndarray) -> tuple[np.dtype[Any], tuple[int, ...]]:
    return values.dtype, values.shape[1:]


@final
class _Part:
    """The HDF5 part under way. Its bytes depend on the items alone, and not on how many came at a time."""

    def __init__(self, path: Path, first: Mapping[str, np.ndarray]) -> None:
        self.path = path
        self.columns = {name: _Column(array) for name, array in sorted(first.items())}
        self.file = atomic.NewFile(path)
        self._blocks = BlockFile(self.file, storefile.BLOCK)
        self._hdf5 = h5py.File(self._blocks, "w", meta_block_size=SIZE)

    def append(self, arrays: Mapping[str, np.ndarray]) -> None:
        for name in {*arrays, *self.columns}:
            self._check(name, arrays.get(name))
        start, count = 0, len(next(iter(arrays.values())))
        while start < count:  # up to where the next chunk is full
            stop = min(count, start + min(column.chunk - column.filled for column in self.columns.values()))
            for name, column in self.columns.items():
                column.put(arrays[name][start:stop])
            for name, column in self.columns.items():
                if column.filled == column.chunk:
                    self._flush(name, column)
            start = stop

    def close(self, meta: Mapping[str, Any]) -> str:
        """Write what is left, and close; the hash."""
        try:
            text = jsontext.encode(meta, what="attributes")
            for name, column in self.columns.items():
                if column.filled:
                    self._flush(name, column)
            self._hdf5.create_dataset(storefile.META, data=np.frombuffer(text, np.uint8))
        finally:
            self._hdf5.close()
        digest = self._blocks.finish()
        self.file.write(storefile.header(digest, self._blocks.size), 0)
        return digest

    def put_in_place(self) -> None:
        self.file.put_in_place(storefile.BLOCK + self._blocks.size)

    def discard(self) -> None:
        """Leave nothing unfinished behind."""
        self._blocks.ended = True
        self._hdf5.close()
        self.file.discard()

    def _check(self, name: str, values: np.ndarray | None) -> None:
        column = self.columns.get(name)
        if column is None or values is None:
            found = ", ".join(sorted(self.columns))
            raise DataError(f"{self.path}: expected items of {found} each time, found '{name}' only some times")
        if (values.shape[1:], values.dtype.newbyteorder("<")) != (column.shape, column.dtype):
            wanted, found = (f"{dtype} {shape}" for dtype, shape in ((column.dtype, column.shape), _form(values)))
            raise DataError(f"{self.path}: expected items of {wanted} in '{name}' like the first, found {found}")

    def _flush(self, name: str, column: _Column) -> None:
        """Write one chunk: whole, or the last one."""
        items = column.chunks * column.chunk + column.filled
        if column.dataset is None:
            chunk = (column.filled, *column.shape)
            most = (None, *column.shape)
            column.dataset = self._hdf5.create_dataset(
                name, (items, *column.shape), column.dtype, maxshape=most, chunks=chunk
            )
        column.dataset.resize(items, 0)
        size = column.dataset.chunks[0]
        column.buffer[column.filled :] = 0
        place = (column.chunks * size, *(0 for _ in column.shape))
        column.dataset.id.write_direct_chunk(place, np.ascontiguousarray(column.buffer[:size]))
        column.chunks, column.filled = column.chunks + 1, 0
        self._blocks.check()
