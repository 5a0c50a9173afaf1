"""CIFAR-10 as people have it: python batches, binary batches or class folders; unpacked or in an archive."""

import re
from pathlib import Path, PurePosixPath

import numpy as np

from inrkit import DataError, Entries, Progress, open_entries, quiet
from inrkit_image.formats.arrays import assembled
from inrkit_image.formats.folders import images_among
from inrkit_image.formats.imported import DEFAULTS, ImportedImages, ImportOptions
from inrkit_image.formats.pickled import read_pickled_dict

CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

_BATCH = {"train": re.compile(r"data_batch_\d+(\.bin)?"), "test": re.compile(r"test_batch(\.bin)?")}
_PIXELS = 3 * 32 * 32
_EXPECTED = "'data_batch_1' ... and 'test_batch', their '.bin' forms, or 'train' and 'test' folders with class folders"


def import_cifar10(source: Path, options: ImportOptions = DEFAULTS, progress: Progress = quiet) -> ImportedImages:
    """One split of CIFAR-10: a folder, its ``.tar.gz`` or a zip. Batches that are missing are taken as not wanted."""
    with open_entries(source) as entries:
        names = entries.names()
        batches = [name for name in names if _BATCH[options.split].fullmatch(PurePosixPath(name).name)]
        if batches:
            return _from_batches(entries, batches, options, progress)
        folder = [name for name in names if options.split in name.split("/")[:-1]]
        if not folder:
            raise DataError(f"{source}: expected CIFAR-10's {options.split} split ({_EXPECTED}), found none of these.")
        return images_among(entries, folder, options, progress)


def _from_batches(entries: Entries, batches: list[str], options: ImportOptions, progress: Progress) -> ImportedImages:
    pixels, labels, names = [], [], []
    for done, batch in enumerate(batches, 1):
        read = _binary if batch.endswith(".bin") else _pickled
        batch_pixels, batch_labels, batch_names = read(entries.read_one(batch), batch)
        pixels.append(batch_pixels)
        labels.append(batch_labels)
        names += batch_names
        progress(done, len(batches))
    images = np.concatenate(pixels).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return assembled(images, np.concatenate(labels), names, CLASS_NAMES, options)


def _pickled(data: bytes, name: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
    batch = read_pickled_dict(data, name)
    pixels, labels = batch.get("data"), batch.get("labels")
    if not isinstance(pixels, np.ndarray) or pixels.ndim != 2 or pixels.shape[1] != _PIXELS:
        raise DataError(f"{name}: expected 'data' of shape (N, {_PIXELS}), found {getattr(pixels, 'shape', 'none')}.")
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise DataError(f"{name}: expected 'labels' as a list of whole numbers, found none; CIFAR-100 is not read.")
    names = [f"{name}/{i:05}" for i in range(len(pixels))]
    files = batch.get("filenames")
    if isinstance(files, list) and len(files) == len(pixels):
        names = [str(file) for file in files]
    return pixels, _checked(np.array(labels, np.int64), len(pixels), name), names


def _binary(data: bytes, name: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Records of one byte of label and the pixels, channel by channel."""
    if not data or len(data) % (1 + _PIXELS):
        raise DataError(f"{name}: expected records of {1 + _PIXELS} bytes, found {len(data)} bytes in all.")
    records = np.frombuffer(data, np.uint8).reshape(-1, 1 + _PIXELS)
    names = [f"{name}/{i:05}" for i in range(len(records))]
    return records[:, 1:], _checked(records[:, 0].astype(np.int64), len(records), name), names


def _checked(labels: np.ndarray, count: int, name: str) -> np.ndarray:
    if len(labels) != count or (count and not 0 <= labels.min() <= labels.max() < len(CLASS_NAMES)):
        raise DataError(f"{name}: expected {count} labels from 0 to 9, found {len(labels)} others; not CIFAR-10.")
    return labels
