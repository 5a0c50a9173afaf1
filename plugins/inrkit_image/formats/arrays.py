"""Images that are arrays already: idx files, as MNIST has them, and numpy's npz files."""

import contextlib
import gzip
import io
import math
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, final

import attrs
import numpy as np

from inrkit import DataError
from inrkit_image.formats.split import Part, Split, SplitImporter, SplitOptions, part_of

IMAGE_KEYS = ("images", "image", "x", "X", "data", "samples", "arr_0")
LABEL_KEYS = ("labels", "label", "y", "targets", "arr_1")

# No compression by deflate shrinks more than this.
_DEFLATE_AT_MOST = 1032
_PIECE = 16 << 20  # bytes of images that are in memory together


@final
class IdxImporter(SplitImporter):
    """MNIST, Fashion-MNIST, EMNIST and their like.

    ``...-images-idx3-ubyte``, gzipped or not, and the labels beside it; or a folder, where the split picks.
    """

    name, summary = "idx", "idx files, as MNIST and Fashion-MNIST have them"

    def part(self, source: Path, split: Split, options: SplitOptions) -> Part:
        path = _idx_images(source, split)
        shape = _idx_shape(path)
        full = (*shape, 1) if len(shape) == 3 else shape
        if len(full) != 4 or full[-1] not in (1, 3) or not math.prod(full):
            raise DataError(f"{path}: expected images (N, H, W), found an idx array of shape {shape}.")
        beside = path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1").replace("idx4", "idx1"))
        labels = None
        if beside != path and beside.is_file():
            if _idx_shape(beside) != full[:1]:
                found = f"found an idx array of shape {_idx_shape(beside)}"
                raise DataError(f"{beside}: expected {full[0]} labels, {found}.")
            labels = np.concatenate(list(_idx_pieces(beside)))
        return part_of(lambda: (piece.reshape(-1, *full[1:]) for piece in _idx_pieces(path)), full[0], labels, options)


def _idx_images(source: Path, split: str) -> Path:
    if source.is_file():
        return source
    if not source.is_dir():
        raise DataError(f"{source}: expected an idx file or a folder with some, found nothing there; check the path.")
    prefixes = {"train": ("train",), "test": ("t10k", "test")}[split]
    found = sorted(path for path in source.rglob("*images*idx*") if path.name.startswith(prefixes) and path.is_file())
    if not found:
        raise DataError(f"{source}: expected '{prefixes[0]}-images-idx3-ubyte' or the same with '.gz', found none.")
    return found[0]


@contextlib.contextmanager
def _idx_open(path: Path) -> Iterator[tuple[IO[bytes] | gzip.GzipFile, tuple[int, ...]]]:
    """An idx file of bytes after its header, and the shape that the header says and its length does not contradict."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as file:
            start = file.read(4)
            if len(start) < 4 or start[:2] != b"\0\0" or start[2] != 8 or not 1 <= start[3] <= 4:
                raise DataError(f"{path}: expected an idx file of unsigned bytes (0, 0, 8, ...), found {tuple(start)}.")
            shape = struct.unpack(f">{start[3]}I", file.read(4 * start[3]))
            if math.prod(shape) > path.stat().st_size * (_DEFLATE_AT_MOST if packed else 1):
                raise DataError(f"{path}: expected data of shape {shape} as the header says, found a shorter file.")
            yield file, shape
    except (OSError, EOFError, zlib.error, struct.error) as error:
        raise DataError(f"{path}: expected an intact idx file, found damage: {error}.") from error


def _idx_shape(path: Path) -> tuple[int, ...]:
    with _idx_open(path) as (_, shape):
        return shape


def _idx_pieces(path: Path) -> Iterator[np.ndarray]:
    """An idx array of bytes, some items at a time."""
    with _idx_open(path) as (file, shape):
        size, left = math.prod(shape[1:]), shape[0]
        while left:
            count = min(left, max(1, _PIECE // max(1, size)))
            data = file.read(count * size)
            if len(data) != count * size:
                raise _wrong_length(path, shape, "fewer")
            yield np.frombuffer(data, np.uint8).reshape(count, *shape[1:])
            left -= count
        if file.read(1):
            raise _wrong_length(path, shape, "more")


def _wrong_length(path: Path, shape: tuple[int, ...], found: str) -> DataError:
    return DataError(f"{path}: expected {math.prod(shape)} bytes for shape {shape} as the header says, found {found}.")


@final
class NpzImporter(SplitImporter):
    """An npz file with images (N, H, W), (N, H, W, C) or (N, C, H, W), and labels (N,) if there are any.

    Keys are those of ``IMAGE_KEYS`` and ``LABEL_KEYS``, or ``x_train`` and the like. Nothing is unpickled.
    """

    name, summary = "npz", "an .npz file with an array of images, and labels if there are any"

    def part(self, source: Path, split: Split, options: SplitOptions) -> Part:
        if not source.is_file():
            raise DataError(f"{source}: expected an npz file, found none; check the path.")
        with _members(source) as archive:
            keys = {name.removesuffix(".npy"): name for name in archive.namelist() if name.endswith(".npy")}
            image_key = _key(keys, IMAGE_KEYS, split)
            if image_key is None:
                found = ", ".join(keys) or "no arrays"
                raise DataError(f"{source}: expected images under one of {', '.join(IMAGE_KEYS)}, found {found}.")
            member, where = keys[image_key], f"{source}, '{image_key}'"
            form = _image_form(archive, member, where)
            labels = _label_array(archive, keys, _key(keys, LABEL_KEYS, split), form.count, source)
        return part_of(lambda: _images(source, member, where, form), form.count, labels, options)


@contextlib.contextmanager
def _members(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise DataError(f"{path}: expected an intact npz file, found damage: {error}.") from error


def _key(keys: dict[str, str], known: Sequence[str], split: str) -> str | None:
    """``x_train`` before ``x``: the split's own array before one for all."""
    forms = [form for key in known for form in (f"{key}_{split}", f"{split}_{key}")]
    return next((key for key in (*forms, *known) if key in keys), None)


@contextlib.contextmanager
def _array(archive: zipfile.ZipFile, member: str, where: str) -> Iterator[tuple[IO[bytes], tuple[int, ...], np.dtype]]:
    """An array's bytes, its shape and its type, after its header is found to promise no more than the file holds."""
    size = archive.getinfo(member)
    try:
        with archive.open(member) as file:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, fortran, dtype = read(file)
            need = math.prod(shape) * dtype.itemsize
            if dtype.hasobject or not need <= size.file_size <= size.compress_size * _DEFLATE_AT_MOST + 1024:
                found = "python objects" if dtype.hasobject else "less data than it promises"
                raise DataError(f"{where}: expected an array of numbers, found {found}; it was not read.")
            if fortran:
                file.seek(0)
                whole = np.lib.format.read_array(file, allow_pickle=False)
                yield io.BytesIO(whole.tobytes()), shape, dtype
            else:
                yield file, shape, dtype
    except ValueError as error:
        raise DataError(f"{where}: expected a numpy array, found damage: {error}.") from error


def _pieces(archive: zipfile.ZipFile, member: str, where: str) -> Iterator[np.ndarray]:
    """An array, some items at a time."""
    with _array(archive, member, where) as (file, shape, dtype):
        if not shape:
            shape = (1,)
        size, left = math.prod(shape[1:]) * dtype.itemsize, shape[0]
        while left:
            count = min(left, max(1, _PIECE // max(1, size)))
            data = file.read(count * size)
            if len(data) != count * size:
                raise DataError(f"{where}: expected {count * size} more bytes, found {len(data)}; it is cut off.")
            yield np.frombuffer(data, dtype).reshape(count, *shape[1:])
            left -= count


@attrs.frozen
class _Form:
    """What images are like, (N, ...): their number, whether the channels come first, and their type in the end."""

    count: int
    channels_first: bool
    dtype: np.dtype


def _image_form(archive: zipfile.ZipFile, member: str, where: str) -> _Form:
    """Whole numbers and floats are read once to see how great they are."""
    channels = (1, 2, 3, 4)
    with _array(archive, member, where) as (_, shape, dtype):
        pass
    full = (*shape, 1) if len(shape) == 3 else shape
    first = len(full) == 4 and full[-1] not in channels and full[1] in channels
    if len(full) != 4 or not (first or full[-1] in channels) or not math.prod(full):
        raise DataError(f"{where}: expected images (N, H, W), (N, H, W, C) or (N, C, H, W), found {shape}.")
    if dtype.kind == "b" or dtype in (np.uint8, np.uint16):
        return _Form(full[0], first, np.dtype(np.uint16 if dtype == np.uint16 else np.uint8))
    low, high = np.nan, np.nan
    if dtype.kind in "fiu":
        spans = [(piece.min(), piece.max()) for piece in _pieces(archive, member, where)]
        low, high = np.min([low for low, _ in spans]), np.max([high for _, high in spans])
    if dtype.kind in "iu" and low >= 0 and high <= 65535:
        return _Form(full[0], first, np.dtype(np.uint8 if high <= 255 else np.uint16))
    if dtype.kind == "f" and low >= 0 and high <= 1:
        return _Form(full[0], first, np.dtype(np.float32))
    raise DataError(
        f"{where}: expected whole numbers from 0 to 255 or 65535, or floats from 0 to 1, "
        f"found {dtype} from {low} to {high}; rescale them first."
    )


def _images(source: Path, member: str, where: str, form: _Form) -> Iterator[np.ndarray]:
    """(n, H, W, C) at a time, uint8, uint16 or float32 in [0, 1]."""
    with _members(source) as archive:
        for piece in _pieces(archive, member, where):
            full = piece[..., None] if piece.ndim == 3 else piece
            images = (full.transpose(0, 2, 3, 1) if form.channels_first else full).astype(form.dtype)
            yield images * np.uint8(255) if piece.dtype.kind == "b" else images


def _label_array(
    archive: zipfile.ZipFile, keys: dict[str, str], key: str | None, count: int, path: Path
) -> np.ndarray | None:
    if key is None:
        return None
    labels = np.squeeze(np.concatenate(list(_pieces(archive, keys[key], f"{path}, '{key}'")) or [np.zeros(0)]))
    labels = labels.reshape(count) if labels.size == count else labels
    if labels.shape != (count,) or labels.dtype.kind not in "iu" or labels.min() < 0:
        raise DataError(
            f"{path}, '{key}': expected {count} labels from 0 up, found {labels.dtype} of shape {labels.shape}."
        )
    return labels
