"""The layout of a store on disk: a header with a hash, then HDF5; and what is checked before HDF5 is believed.

    512 bytes   JSON: format, version, size and sha256 of all that follows (HDF5 calls this a user block and skips it)
    the rest    HDF5: one dataset per array, items along the first axis, plain chunks; `__meta__` holds the JSON of
                modality and attributes

The hash is compared before the HDF5 library sees the file, for it can crash or err on damaged ones. What the file says
about itself is compared with its size before anything is read, for links, external data and giant shapes can be written
in a few bytes.
"""

import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import h5py
import numpy as np
from torch import Tensor

from inrkit.errors import DataError
from inrkit.storage import atomic, jsontext

FORMAT = "inrkit-store"
VERSION = 1
BLOCK = 512  # the smallest user block
CHUNK_BYTES = 256 << 10
META = "__meta__"

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,99}")
_MOST_ARRAYS = 1000

Seen: TypeAlias = tuple[str, int, int]  # path, size, modification time: whose hash has been verified

_verified: dict[Seen, str] = {}  # -> sha256


def chunk_shape(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """At most `CHUNK_BYTES`: several small items, one item, or a part of a big one such as some of its views."""
    room = max(1, CHUNK_BYTES // itemsize)
    chunk = []
    for length in reversed(shape):
        chunk.append(min(length, room))
        room = max(1, room // chunk[-1])
    return tuple(reversed(chunk))


def as_arrays(path: Path, given: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """What was given as arrays, tensors among them: integers or finite floats with one number of items."""
    try:
        plain = {name: v.detach().cpu() if isinstance(v, Tensor) else v for name, v in given.items()}
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
    for name, array in arrays.items():
        check_finite(path, name, array, range(len(array)))
    return arrays


def check_finite(path: Path, name: str, values: np.ndarray, items: Sequence[int]) -> None:
    """`DataError` that names the first of these items in which something is infinite or not a number."""
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        first = int(np.flatnonzero(~np.isfinite(values.reshape(len(items), -1)).all(axis=1))[0])
        raise DataError(f"{path}: expected finite numbers in '{name}', found others in item {items[first]}")


def image_of(arrays: Mapping[str, np.ndarray], meta: bytes) -> bytes:
    """The HDF5 part, put together in memory."""
    with h5py.File("store", "w", driver="core", backing_store=False) as file:
        for name, array in sorted(arrays.items()):
            little = array.astype(array.dtype.newbyteorder("<"), copy=False)
            file.create_dataset(name, data=little, chunks=chunk_shape(array.shape, array.dtype.itemsize))
        file.create_dataset(META, data=np.frombuffer(meta, dtype=np.uint8))
        file.flush()
        image: bytes = file.id.get_file_image()
    return image


def header(digest: str, size: int) -> bytes:
    """The first `BLOCK` bytes."""
    facts = {"format": FORMAT, "version": VERSION, "size": size, "sha256": digest}
    return jsontext.encode(facts, what="header").ljust(BLOCK - 1) + b"\n"


def read_header(path: Path) -> tuple[int, str]:
    """(size, sha256) of what follows the header; every byte of the header is accounted for."""
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
        advice = "it is damaged, or foreign and must be imported"
        raise DataError(f"{path}: expected a store, found a file without its header; {advice}") from error
    if facts.get("version") != VERSION:
        raise atomic.other_version(path, VERSION, facts.get("version"))
    if (promised := facts.get("size")) != size:
        raise DataError(f"{path}: expected {promised} bytes after the header, found {size}; cut off or altered")
    digest = str(facts.get("sha256"))
    if block != header(digest, size):
        raise DataError(f"{path}: expected a header as inrkit writes it, found another; damaged or altered")
    return size, digest


def seen(path: Path) -> Seen | None:
    """By what a file is recognized as the one that was verified; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return str(path), status.st_size, status.st_mtime_ns


def verify_hash(path: Path, *, anew: bool = False) -> tuple[Seen | None, str]:
    """(what was seen, its sha256) after the hash agreed; remembered in this process unless asked for ``anew``."""
    key = seen(path)
    if key is not None and key in _verified and not anew:
        return key, _verified[key]
    _, expected = read_header(path)
    if (found := atomic.sha256_file(path, start=BLOCK)) != expected:
        raise atomic.altered(path, expected, found, "damaged or altered, import it anew")
    if key is not None:
        _verified[key] = found
    return key, found


def open_checked(path: Path) -> h5py.File:
    """The HDF5 part, open for reading, after its structure was found to be a store's."""
    try:
        file = h5py.File(path, "r", locking=False, rdcc_nbytes=16 << 20)
    except (OSError, RuntimeError, ValueError) as error:
        raise DataError(f"{path}: expected HDF5 after the header, found something else ({str(error)[:80]})") from error
    try:
        _check_structure(path, file)
    except BaseException as error:
        file.close()
        if isinstance(error, OSError | RuntimeError | ValueError | KeyError | TypeError):
            raise DataError(f"{path}: expected sound HDF5, found damage ({str(error)[:80]})") from error
        raise
    return file


def _check_structure(path: Path, file: h5py.File) -> None:
    """Nothing but plain, fully stored datasets of numbers that fit into the file."""
    if not 2 <= len(file) <= _MOST_ARRAYS + 1 or META not in file:
        raise DataError(f"{path}: expected arrays and '{META}', found {len(file)} entries; not to be trusted")
    size = path.stat().st_size
    lengths = set()
    for name in file:
        if file.id.links.get_info(name.encode()).type != h5py.h5l.TYPE_HARD or not isinstance(file[name], h5py.Dataset):
            raise DataError(f"{path}: expected a dataset at '{name}', found a link or a group; not to be trusted")
        dataset = file[name]
        plan = dataset.id.get_create_plist()
        if dataset.dtype.kind not in "uif" or dataset.dtype.metadata or not dataset.shape:
            raise DataError(
                f"{path}: expected an array of numbers at '{name}', found {dataset.dtype}; not to be trusted"
            )
        if plan.get_layout() not in (h5py.h5d.CHUNKED, h5py.h5d.CONTIGUOUS) or plan.get_external_count():
            raise DataError(f"{path}: expected data within the file at '{name}', found it elsewhere; not to be trusted")
        needed = nbytes(dataset.shape, dataset.dtype)
        chunk = nbytes(dataset.chunks or (0,), dataset.dtype)
        stored = dataset.id.get_storage_size()
        if plan.get_nfilters() or not 0 < needed <= stored <= size or chunk > size:
            raise DataError(
                f"{path}: expected {needed} plain bytes at '{name}', found {stored} stored in a file of {size}; "
                f"not to be trusted"
            )
        lengths |= {dataset.shape[0]} if name != META else set()
    if len(lengths) != 1:
        raise DataError(f"{path}: expected one number of items, found {sorted(lengths)}")


def read_meta(path: Path, file: h5py.File) -> tuple[str, dict[str, Any]]:
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
