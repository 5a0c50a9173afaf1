"""Items of an array in a file, read by their places alone."""

import math
import os
import threading
from io import FileIO

import numpy as np

from inrkit.errors import DataError
from inrkit.storage.storefile import Layout

_at_a_time = threading.Lock()


def read_rows(file: FileIO, layout: Layout, items: np.ndarray, within: np.ndarray | None = None) -> np.ndarray:
    """The items (P,), or of each the parts (Q,) along its own first axis; in that order, repetitions included."""
    offsets, shape = layout.offsets(items), (len(items), *layout.shape[1:])
    if within is not None:
        size = layout.dtype.itemsize * math.prod(layout.shape[2:])
        offsets, shape = (offsets[:, None] + within * size).reshape(-1), (len(items), len(within), *layout.shape[2:])
    values = np.empty(shape, layout.dtype)
    if values.size:
        _fill(file, memoryview(values.reshape(-1).view(np.uint8).data), offsets)
    return values


def _fill(file: FileIO, target: memoryview, offsets: np.ndarray) -> None:
    """Pieces of equal size, neighbours in the file together, and in the order of the file."""
    size = len(target) // len(offsets)
    cuts = np.flatnonzero(offsets[1:] - offsets[:-1] != size) + 1
    if len(cuts) == 0:
        runs = [(int(offsets[0]), 0, len(target))]
    else:
        bounds = [0, *(cuts * size).tolist(), len(target)]
        runs = sorted(zip([int(offsets[0]), *offsets[cuts].tolist()], bounds[:-1], bounds[1:], strict=True))
    for place, begin, end in runs:
        while begin < end:
            count = _read(file, target[begin:end], place)
            if count == 0:
                raise DataError(f"{file.name}: expected {end - begin} more bytes at {place}, found the end of the file")
            begin, place = begin + count, place + count


if hasattr(os, "preadv"):

    def _read(file: FileIO, target: memoryview, place: int) -> int:
        return os.preadv(file.fileno(), [target], place)

else:

    def _read(file: FileIO, target: memoryview, place: int) -> int:
        with _at_a_time:
            file.seek(place)
            return file.readinto(target) or 0
