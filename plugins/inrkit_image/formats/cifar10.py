"""CIFAR-10 as people have it: python batches, binary batches or class folders; unpacked or in an archive."""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import final

import numpy as np

from inrkit import DataError, Entries, open_entries
from inrkit_image.formats.folders import FolderOptions, ImagesImporter
from inrkit_image.formats.pickled import read_pickled_dict
from inrkit_image.formats.split import Part, Split, SplitImporter, SplitOptions, part_of

CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

_BATCH = {"train": re.compile(r"data_batch_\d+(\.bin)?"), "test": re.compile(r"test_batch(\.bin)?")}
_PIXELS = 3 * 32 * 32
_EXPECTED = "'data_batch_1' ... and 'test_batch', their '.bin' forms, or 'train' and 'test' folders with class folders"


@final
class Cifar10Importer(SplitImporter):
    """CIFAR-10 in any of the layouts it is passed around in; batches that are missing are taken as not wanted."""

    name, summary = "cifar10", "CIFAR-10, as python batches or as folders of images"

    def part(self, source: Path, split: Split, options: SplitOptions) -> Part:
        with open_entries(source) as entries:
            names = entries.names()
            batches = [name for name in names if _BATCH[split].fullmatch(PurePosixPath(name).name)]
            if batches:
                labels = [_batch(entries, name)[1] for name in batches]
                every = np.concatenate(labels)
                return part_of(lambda: _pixels(source, batches), len(every), every, options, CLASS_NAMES)
        folder = [name for name in names if split in name.split("/")[:-1]]
        if not folder:
            raise DataError(f"{source}: expected CIFAR-10's {split} split ({_EXPECTED}), found none of these.")
        return _folder(source, folder, options)


def _folder(source: Path, names: list[str], options: SplitOptions) -> Part:
    """Images in folders that are named after their classes."""
    files, how = ImagesImporter(), FolderOptions(size=options.size, channels=options.channels, limit=options.limit)
    with open_entries(source) as entries:
        wanted, classes = files.wanted(entries, names, how)

    def images() -> Iterator[np.ndarray]:
        with open_entries(source) as entries:
            yield from (image[None] for _, image in files.signals(entries, wanted, how, []) if image is not None)

    if classes is None:
        return Part(images, len(wanted))
    found = sorted(set(classes.values()))
    return Part(images, len(wanted), np.array([found.index(classes[name]) for name in wanted]), found)


def _pixels(source: Path, batches: list[str]) -> Iterator[np.ndarray]:
    with open_entries(source) as entries:
        for name in batches:
            yield _batch(entries, name)[0].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)


def _batch(entries: Entries, name: str) -> tuple[np.ndarray, np.ndarray]:
    return (_binary if name.endswith(".bin") else _pickled)(entries.read_one(name), name)


def _pickled(data: bytes, name: str) -> tuple[np.ndarray, np.ndarray]:
    batch = read_pickled_dict(data, name)
    pixels, labels = batch.get("data"), batch.get("labels")
    if not isinstance(pixels, np.ndarray) or pixels.ndim != 2 or pixels.shape[1] != _PIXELS:
        raise DataError(f"{name}: expected 'data' of shape (N, {_PIXELS}), found {getattr(pixels, 'shape', 'none')}.")
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise DataError(f"{name}: expected 'labels' as a list of whole numbers, found none; CIFAR-100 is not read.")
    return pixels, _checked(np.array(labels, np.int64), len(pixels), name)


def _binary(data: bytes, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Records of one byte of label and the pixels, channel by channel."""
    if not data or len(data) % (1 + _PIXELS):
        raise DataError(f"{name}: expected records of {1 + _PIXELS} bytes, found {len(data)} bytes in all.")
    records = np.frombuffer(data, np.uint8).reshape(-1, 1 + _PIXELS)
    return records[:, 1:], _checked(records[:, 0].astype(np.int64), len(records), name)


def _checked(labels: np.ndarray, count: int, name: str) -> np.ndarray:
    if len(labels) != count or (count and not 0 <= labels.min() <= labels.max() < len(CLASS_NAMES)):
        raise DataError(f"{name}: expected {count} labels from 0 to 9, found {len(labels)} others; not CIFAR-10.")
    return labels
