"""Images that are arrays already: idx files, as MNIST has them, and numpy's npz files."""

import gzip
import math
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import final

import numpy as np

from inrkit import DataError, Imported, Progress
from inrkit_image.formats.split import Split, SplitImporter, SplitOptions, assembled

IMAGE_KEYS = ("images", "image", "x", "X", "data", "samples", "arr_0")
LABEL_KEYS = ("labels", "label", "y", "targets", "arr_1")

# No compression by deflate shrinks more than this.
_DEFLATE_AT_MOST = 1032


@final
class IdxImporter(SplitImporter):
    """MNIST, Fashion-MNIST, EMNIST and their like.

    ``...-images-idx3-ubyte``, gzipped or not, and the labels beside it; or a folder, where the split picks.
    """

    name, summary = "idx", "idx files, as MNIST and Fashion-MNIST have them"

    def part(self, source: Path, split: Split, options: SplitOptions, progress: Progress) -> Imported:
        path = _idx_images(source, split)
        images = _idx(path)
        if images.ndim == 3:
            images = images[..., None]
        if images.ndim != 4 or images.shape[-1] not in (1, 3) or not len(images):
            raise DataError(f"{path}: expected images (N, H, W), found an idx array of shape {images.shape}.")
        beside = path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1").replace("idx4", "idx1"))
        if beside == path or not beside.is_file():
            return assembled(images, None, options, progress)
        labels = _idx(beside)
        if labels.shape != (len(images),):
            raise DataError(f"{beside}: expected {len(images)} labels, found an idx array of shape {labels.shape}.")
        return assembled(images, labels, options, progress)


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


def _idx(path: Path) -> np.ndarray:
    """An idx array of bytes; its sizes come from its header and have to agree with its length."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as file:
            start = file.read(4)
            if len(start) < 4 or start[:2] != b"\0\0" or start[2] != 8 or not 1 <= start[3] <= 4:
                raise DataError(f"{path}: expected an idx file of unsigned bytes (0, 0, 8, ...), found {tuple(start)}.")
            shape = struct.unpack(f">{start[3]}I", file.read(4 * start[3]))
            need = math.prod(shape)
            if need > path.stat().st_size * (_DEFLATE_AT_MOST if packed else 1):
                raise DataError(f"{path}: expected data of shape {shape} as the header says, found a shorter file.")
            data = file.read(need + 1)
    except (OSError, EOFError, zlib.error, struct.error) as error:
        raise DataError(f"{path}: expected an intact idx file, found damage: {error}.") from error
    if len(data) != need:
        found = "fewer" if len(data) < need else "more"
        raise DataError(f"{path}: expected {need} bytes for shape {shape} as the header says, found {found}.")
    return np.frombuffer(data, np.uint8).reshape(shape)


@final
class NpzImporter(SplitImporter):
    """An npz file with images (N, H, W), (N, H, W, C) or (N, C, H, W), and labels (N,) if there are any.

    Keys are those of ``IMAGE_KEYS`` and ``LABEL_KEYS``, or ``x_train`` and the like. Nothing is unpickled.
    """

    name, summary = "npz", "an .npz file with an array of images, and labels if there are any"

    def part(self, source: Path, split: Split, options: SplitOptions, progress: Progress) -> Imported:
        if not source.is_file():
            raise DataError(f"{source}: expected an npz file, found none; check the path.")
        try:
            with zipfile.ZipFile(source) as archive:
                keys = {name.removesuffix(".npy"): name for name in archive.namelist() if name.endswith(".npy")}
                image_key = _key(keys, IMAGE_KEYS, split)
                if image_key is None:
                    found = ", ".join(keys) or "no arrays"
                    raise DataError(f"{source}: expected images under one of {', '.join(IMAGE_KEYS)}, found {found}.")
                images = _image_array(_array(archive, keys[image_key], source), f"{source}, '{image_key}'")
                labels = _label_array(archive, keys, _key(keys, LABEL_KEYS, split), len(images), source)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as error:
            raise DataError(f"{source}: expected an intact npz file, found damage: {error}.") from error
        return assembled(images, labels, options, progress)


def _key(keys: dict[str, str], known: Sequence[str], split: str) -> str | None:
    """``x_train`` before ``x``: the split's own array before one for all."""
    forms = [form for key in known for form in (f"{key}_{split}", f"{split}_{key}")]
    return next((key for key in (*forms, *known) if key in keys), None)


def _array(archive: zipfile.ZipFile, member: str, path: Path) -> np.ndarray:
    """One array, after its header is found to promise no more than the file holds, and no pickles."""
    where, size = f"{path}, '{member}'", archive.getinfo(member)
    try:
        with archive.open(member) as file:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(file)
            need = math.prod(shape) * dtype.itemsize
            if dtype.hasobject or not need <= size.file_size <= size.compress_size * _DEFLATE_AT_MOST + 1024:
                found = "python objects" if dtype.hasobject else "less data than it promises"
                raise DataError(f"{where}: expected an array of numbers, found {found}; it was not read.")
            file.seek(0)
            return np.lib.format.read_array(file, allow_pickle=False)
    except ValueError as error:
        raise DataError(f"{where}: expected a numpy array, found damage: {error}.") from error


def _image_array(array: np.ndarray, where: str) -> np.ndarray:
    """-> (N, H, W, C) uint8, uint16 or float32 in [0, 1]."""
    channels = (1, 2, 3, 4)
    if array.ndim == 3:
        array = array[..., None]
    elif array.ndim == 4 and array.shape[-1] not in channels and array.shape[1] in channels:
        array = array.transpose(0, 2, 3, 1)
    if array.ndim != 4 or array.shape[-1] not in channels or not array.size:
        raise DataError(f"{where}: expected images (N, H, W), (N, H, W, C) or (N, C, H, W), found {array.shape}.")
    if array.dtype in (np.uint8, np.uint16):
        return array
    if array.dtype.kind == "b":
        return array.astype(np.uint8) * np.uint8(255)
    low, high = (array.min(), array.max()) if array.dtype.kind in "fiu" else (np.nan, np.nan)
    if array.dtype.kind in "iu" and low >= 0 and high <= 65535:
        return array.astype(np.uint8 if high <= 255 else np.uint16)
    if array.dtype.kind == "f" and low >= 0 and high <= 1:
        return array.astype(np.float32)
    raise DataError(
        f"{where}: expected whole numbers from 0 to 255 or 65535, or floats from 0 to 1, "
        f"found {array.dtype} from {low} to {high}; rescale them first."
    )


def _label_array(
    archive: zipfile.ZipFile, keys: dict[str, str], key: str | None, count: int, path: Path
) -> np.ndarray | None:
    if key is None:
        return None
    labels = np.squeeze(_array(archive, keys[key], path))
    labels = labels.reshape(count) if labels.size == count else labels
    if labels.shape != (count,) or labels.dtype.kind not in "iu" or labels.min() < 0:
        raise DataError(
            f"{path}, '{key}': expected {count} labels from 0 up, found {labels.dtype} of shape {labels.shape}."
        )
    return labels
