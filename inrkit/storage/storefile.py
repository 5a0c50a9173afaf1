"""The layout of a store on disk: a header with a hash, then HDF5; and what is checked before HDF5 is believed.

    512 bytes   JSON: format, version, size and hash of all that follows
    the rest    HDF5: one dataset per array, in chunks of whole items, uncompressed; `__meta__` holds the JSON of
                modality and attributes

The hash is compared before the HDF5 library sees the file, for it can crash or err on damaged ones. HDF5 then says
where the items of each array lie, and is closed again: items are read by plain reads. What the file says about itself
is compared with its size before anything is read, for links, external data and giant shapes can be written in a few
bytes.
"""

import functools
import io
import logging
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, final

import attrs
import h5py
import numpy as np

from inrkit.errors import DataError
from inrkit.progress import Progress, quiet
from inrkit.storage import blockfile, fileerror, foreign, jsontext, verified

FORMAT = "inrkit-store"
VERSION = 2
BLOCK = 512  # bytes of the header
CHUNK_BYTES = 1 << 20
META = "__meta__"

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,99}")
_MOST_ARRAYS = 1000
_LARGE = 1 << 31  # bytes whose hash takes long enough to be spoken of


@final
@attrs.frozen(eq=False)
class Layout:
    """Where the items of an array lie.

    Args:
        shape: (N, ...).
        places: Where in the file each chunk begins, (chunks,).
        chunk: Items in a chunk.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    places: np.ndarray
    chunk: int
    item_bytes: int = attrs.field(init=False)

    @item_bytes.default
    def _count_bytes(self) -> int:
        return nbytes(self.shape[1:], self.dtype)

    def offsets(self, items: np.ndarray) -> np.ndarray:
        """Where in the file each item begins."""
        chunks, inside = np.divmod(items, self.chunk)
        found: np.ndarray = self.places[chunks] + inside * self.item_bytes
        return found


def chunk_items(shape: tuple[int, ...], itemsize: int) -> int:
    """How many items a chunk of about `CHUNK_BYTES` holds: several small ones, or a big one."""
    return max(1, CHUNK_BYTES // max(1, itemsize * math.prod(shape[1:])))


def as_arrays(path: Path, given: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """What was given as arrays, tensors among them: integers or finite floats with one number of items."""
    try:
        plain = {name: v.detach().cpu() if hasattr(v, "detach") else v for name, v in given.items()}
        arrays = {name: np.asarray(values) for name, values in plain.items()}
    except (TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path}: expected arrays or tensors by name, found {str(error)[:80]}") from error
    if not 1 <= len(arrays) <= _MOST_ARRAYS:
        raise DataError(f"{path}: expected 1 to {_MOST_ARRAYS} arrays, found {len(arrays)}")
    for name, array in arrays.items():
        if not _NAME.fullmatch(name):
            raise DataError(f"{path}: expected letters, digits, '_', '.' and '-' as a name, found {name!r}")
        if array.dtype.kind not in "uif":
            raise DataError(f"{path}: expected integers or floats in '{name}', found {array.dtype}")
        if array.ndim == 0 or array.size == 0:
            raise DataError(f"{path}: expected items along the first axis of '{name}', found shape {array.shape}")
    count = {name: len(array) for name, array in arrays.items()}
    if len(set(count.values())) != 1:
        raise DataError(f"{path}: expected the same number of items in every array, found {count}")
    return arrays


def check_finite(path: Path, name: str, values: np.ndarray, items: Callable[[], Sequence[int]]) -> None:
    """`DataError` that names the first of these items in which something is infinite or not a number."""
    if values.dtype.kind != "f":
        return
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values.sum(dtype=np.result_type(values.dtype, np.float32))):
            return  # a sum with something infinite or not a number in it is not finite
    if not np.isfinite(values).all():
        first = int(np.flatnonzero(~np.isfinite(values.reshape(len(items()), -1)).all(axis=1))[0])
        raise DataError(f"{path}: expected finite numbers in '{name}', found others in item {items()[first]}")


def header(digest: str, size: int) -> bytes:
    """The first `BLOCK` bytes."""
    facts = {"format": FORMAT, "version": VERSION, "size": size, "sha256": digest}
    return jsontext.encode(facts, what="header").ljust(BLOCK - 1) + b"\n"


def read_header(path: Path) -> tuple[int, str]:
    """(size, sha256) of what follows the header; every byte of the header is accounted for."""
    fileerror.require_ordinary(path, "a store")
    try:
        with open(path, "rb") as file:
            block = file.read(BLOCK)
        size = path.stat().st_size - BLOCK
    except OSError as error:
        raise DataError(f"{path}: expected a store, found: {os.strerror(error.errno or 0)}") from error
    try:
        facts = jsontext.decode(block.rstrip(), origin=str(path))
        if facts["format"] != FORMAT:
            raise KeyError(facts["format"])
    except (DataError, KeyError, TypeError) as error:
        if kind := foreign.signal_kind(block):
            hint = f"one signal is no data set, but a folder of them is: '--data {path.parent}'"
            raise DataError(f"{path}: expected a store, found a {kind} file; {hint}") from error
        if foreign.is_hdf5(block):
            hint = "it needs no import: 'inrkit train --data FILE' reads its arrays where they lie"
            raise DataError(f"{path}: expected a store, found an HDF5 file of another program; {hint}") from error
        advice = "it is damaged, or of another format, which 'inrkit data import FORMAT FILE -o STORE' reads"
        raise DataError(f"{path}: expected a store, found a file without its header; {advice}") from error
    if facts.get("version") != VERSION:
        found = f"expected a store of version {VERSION}, found version {facts.get('version')}"
        raise DataError(f"{path}: {found}; import the data anew, or use the inrkit that wrote it")
    if (promised := facts.get("size")) != size:
        raise DataError(f"{path}: expected {promised} bytes after the header, found {size}; cut off or altered")
    digest = str(facts.get("sha256"))
    if block != header(digest, size):
        raise DataError(f"{path}: expected a header as inrkit writes it, found another; damaged or altered")
    return size, digest


def verify_hash(path: Path, *, anew: bool = False, progress: Progress = quiet) -> tuple[verified.Seen, str]:
    """(what was seen, its hash) after the hash agreed; what is remembered of it will do unless asked for ``anew``."""
    size, expected = read_header(path)
    key = verified.Seen.of(path)
    if not anew and verified.recall(key) == expected:
        return key, expected
    if size >= _LARGE:
        _say_once(f"{path}: comparing the hash of {size / 1e9:.1f} GB, once")
    if (found := blockfile.hash_of(path, BLOCK, progress)) != expected:
        raise fileerror.altered(path, expected, found, "damaged or altered, import it anew")
    verified.remember(key, found)
    return key, found


@functools.cache
def _say_once(line: str) -> None:
    logging.getLogger("inrkit").warning(line)


@final
class _Part(io.RawIOBase):
    """A file from the end of the header on, for HDF5 to read."""

    def __init__(self, path: Path) -> None:
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115 - closed with this
        self._file.seek(BLOCK)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset + BLOCK if whence == os.SEEK_SET else offset, whence) - BLOCK

    def tell(self) -> int:
        return self._file.tell() - BLOCK

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        return self._file.readinto(view) or 0

    def close(self) -> None:
        self._file.close()
        super().close()


def contents(path: Path) -> tuple[str, dict[str, Any], dict[str, Layout]]:
    """(modality, attributes, layout of each array), after the structure was found to be a store's."""
    try:
        with _Part(path) as part, h5py.File(part, "r") as file:
            layouts = _layouts(path, file, path.stat().st_size)
            modality, attributes = _read_meta(path, file)
    except DataError:
        raise
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: expected sound HDF5 after the header, found damage ({str(error)[:80]})") from error
    return modality, attributes, layouts


def _layouts(path: Path, file: h5py.File, size: int) -> dict[str, Layout]:
    """Nothing but plain, fully stored datasets of numbers that fit into the file."""
    if not 2 <= len(file) <= _MOST_ARRAYS + 1 or META not in file:
        raise DataError(f"{path}: expected arrays and '{META}', found {len(file)} entries; not to be trusted")
    for name in file:
        _check_dataset(path, file, name, size)
    found = {name: _layout(path, name, file[name], size) for name in file if name != META}
    if len(lengths := {layout.shape[0] for layout in found.values()}) != 1:
        raise DataError(f"{path}: expected one number of items, found {sorted(lengths)}")
    return found


def _check_dataset(path: Path, file: h5py.File, name: str, size: int) -> None:
    if file.id.links.get_info(name.encode()).type != h5py.h5l.TYPE_HARD or not isinstance(file[name], h5py.Dataset):
        raise DataError(f"{path}: expected a dataset at '{name}', found a link or a group; not to be trusted")
    dataset = file[name]
    plan = dataset.id.get_create_plist()
    if dataset.dtype.kind not in "uif" or dataset.dtype.metadata or not dataset.shape:
        raise DataError(f"{path}: expected an array of numbers at '{name}', found {dataset.dtype}; not to be trusted")
    wanted = h5py.h5d.CONTIGUOUS if name == META else h5py.h5d.CHUNKED
    if plan.get_layout() != wanted or plan.get_external_count():
        raise DataError(f"{path}: expected data within the file at '{name}', found it elsewhere; not to be trusted")
    needed, stored = nbytes(dataset.shape, dataset.dtype), dataset.id.get_storage_size()
    if plan.get_nfilters() or not 0 < needed <= stored <= size:
        raise DataError(
            f"{path}: expected {needed} plain bytes at '{name}', found {stored} stored in a file of {size}; "
            f"not to be trusted"
        )


def _layout(path: Path, name: str, dataset: h5py.Dataset, size: int) -> Layout:
    """The places of the chunks, each of which has to lie in the file."""
    chunk, shape = dataset.chunks[0], dataset.shape
    chunks: list[tuple[int, int]] = []
    bytes_each = nbytes(dataset.chunks, dataset.dtype)

    def note(info: Any) -> None:
        if info.size == bytes_each and info.byte_offset + bytes_each <= size - BLOCK and not info.filter_mask:
            chunks.append((info.chunk_offset[0], info.byte_offset + BLOCK))

    dataset.id.chunk_iter(note)
    chunks.sort()
    if dataset.chunks[1:] != shape[1:] or [at for at, _ in chunks] != list(range(0, shape[0], chunk)):
        raise DataError(f"{path}: expected chunks of whole items at '{name}', found others; not to be trusted")
    return Layout(shape, dataset.dtype, np.array([place for _, place in chunks], np.int64), chunk)


def _read_meta(path: Path, file: h5py.File) -> tuple[str, dict[str, Any]]:
    """The name of the modality, and the attributes."""
    meta = jsontext.decode(np.asarray(file[META][...], dtype=np.uint8).tobytes(), origin=f"{path} ({META})")
    if not isinstance(meta, dict) or not isinstance(meta.get("modality"), str):
        raise DataError(f"{path}: expected a modality in '{META}', found none")
    if not isinstance(meta.get("attributes"), dict):
        raise DataError(f"{path}: expected attributes in '{META}', found none")
    return meta["modality"], meta["attributes"]


def nbytes(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    """The bytes an array takes, however giant."""
    return dtype.itemsize * math.prod(map(int, shape))  # Python's integers: a giant shape must not wrap around
