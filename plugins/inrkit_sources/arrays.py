"""Arrays of a user as they are: signals are read from where they lie when a step asks for them, and never copied."""

import abc
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final
from urllib.parse import unquote

import attrs
import numpy as np
import torch

from inrkit import (
    DataError,
    GridModality,
    Modality,
    Signals,
    Source,
    SourceOpener,
    UsageError,
    option,
    parse_options,
    read_split,
)

_LARGEST = 1 << 28  # bytes of one signal


@final
@attrs.frozen
class ArrayOptions:
    """What follows ``?`` in an address."""

    array: str | None = option(None, "path of the array inside of the file; by default the only one that fits")
    labels: str | None = option(None, "path of the array of class numbers (N,)")
    axes: str | None = option(
        None, "order of the axes: N numbers the signals and comes first, C is the channels, as in NHWC, NCHW or NX"
    )
    range: str | None = option(None, "LOW,HIGH: these values become -1 and 1; by default integers by their type")
    split: str | None = option(
        None, "text file of held-out signals, one a line by number or name; a second word may say train or test"
    )


class Rows(abc.ABC):
    """Arrays with the signals along their first axis. It can be pickled; each process opens its files for itself."""

    title: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @abc.abstractmethod
    def read(self, numbers: Sequence[int]) -> np.ndarray:
        """These rows, in this order."""

    def labels(self) -> np.ndarray | None:
        """The class numbers of all rows, if there are any."""
        return None

    def names(self) -> Sequence[str]:
        """What a split file may call the rows, besides their numbers."""
        return ()


class ArrayOpener(SourceOpener, abc.ABC):
    """``NAME://PATH?OPTION=VALUE&...``."""

    def absolute(self, address: str) -> str:
        path, mark, query = address.partition("?")
        parts = [part.partition("=") for part in query.split("&")]
        absolute = [f"{k}={_absolute(v) if k == 'split' else v}" if equals else k for k, equals, v in parts]
        return f"{_absolute(path)}{mark}{'&'.join(absolute)}"

    def open(self, address: str, modality: Modality, split: str) -> Source:
        text, _, query = address.partition("?")
        path, texts = Path(unquote(text)).expanduser(), [unquote(part) for part in query.split("&") if part]
        options = parse_options(ArrayOptions, texts, origin=f"{self.name}://")
        if not isinstance(modality, GridModality):
            raise UsageError(f"{path}: arrays are read as signals on a grid, which those of '{modality.name}' are not")
        if not path.exists():
            raise DataError(f"{path}: expected data, found none; check the path")
        return ArraySignals(self.rows(path, modality.axes, options), modality, options, split, str(path))

    @abc.abstractmethod
    def rows(self, path: Path, axes: int, options: ArrayOptions) -> Rows:
        """The rows at a path that exists, of signals with so many axes."""


@final
class ArraySignals(Source):
    """Signals on a grid, out of rows with their axes in any order."""

    def __init__(self, rows: Rows, modality: GridModality, options: ArrayOptions, split: str, path: str) -> None:
        self._rows, self._path = rows, path
        self._order, self._channels, self._size = _order(path, rows.shape, modality.axes, options.axes)
        if rows.dtype.kind not in "uif" or not np.prod(rows.shape):
            raise DataError(f"{path}: expected numbers, found {rows.dtype} of shape {rows.shape}")
        if (bytes_ := int(np.prod(rows.shape[1:], dtype=object)) * rows.dtype.itemsize) > _LARGEST:
            raise DataError(f"{path}: expected signals of at most {_LARGEST} bytes, found {bytes_}; crop them first")
        self._scale = None if options.range is None else _scale(options.range, modality)
        self._labels = rows.labels()
        if self._labels is not None and (self._labels.shape != rows.shape[:1] or self._labels.min() < 0):
            raise DataError(f"{path}: expected {rows.shape[0]} class numbers, found an array {self._labels.shape}")
        held_out = _held_out(rows, options.split, modality.held_out)
        self._numbers = np.flatnonzero(held_out if split == "test" else ~held_out)
        if not len(self._numbers):
            raise DataError(f"{path}: no signals for '{split}' among its {rows.shape[0]}; at least 10 are needed")

    def __len__(self) -> int:
        return len(self._numbers)

    def read(self, numbers: Sequence[int]) -> Signals:
        index = self._numbers[np.asarray(numbers, np.int64)]
        found = self._rows.read(index.tolist())
        if found.dtype.kind == "f" and not np.isfinite(found).all():
            bad = index[~np.isfinite(found.reshape(len(found), -1)).all(1)][0]
            raise DataError(f"{self._path}: expected finite numbers, found others in signal {bad}")
        values = torch.from_numpy(np.ascontiguousarray(_native(found)))
        values = values.permute(self._order) if self._channels else values.permute(self._order)[:, None]
        if self._scale is not None:
            factor, offset = self._scale
            values = values.float() * factor + offset
        elif values.dtype == torch.float64:
            values = values.float()
        if self._labels is None:
            return {"values": values}
        return {"values": values, "label": torch.from_numpy(self._labels[index].astype(np.int64))}

    @property
    def facts(self) -> Mapping[str, Any]:
        classes = 0 if self._labels is None else int(self._labels.max()) + 1
        return {
            "title": self._rows.title,
            "count": len(self),
            "channels": self._channels or 1,
            "size": list(self._size),
            "classes": classes,
            "class_names": [str(k) for k in range(classes)],
        }


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().absolute())


def _native(found: np.ndarray) -> np.ndarray:
    """In the byte order of this machine, and of a type that torch has."""
    kind = found.dtype.newbyteorder("=")
    return found.astype({"u2": "i4", "u4": "i8", "u8": "i8"}.get(kind.str[1:], kind), copy=False)


def _order(
    path: str, shape: tuple[int, ...], axes: int, text: str | None
) -> tuple[tuple[int, ...], int, tuple[int, ...]]:
    """How the axes are permuted to (N, C, *size) or (N, *size); how many channels, 0 without that axis; size."""
    if text is None:
        plain = "XYZUVW"[:axes]
        last = len(shape) == axes + 2 and shape[-1] <= shape[1]
        text = f"N{plain}" if len(shape) == axes + 1 else f"N{plain}C" if last else f"NC{plain}"
    if len(set(text)) != len(text) or text[:1] != "N" or not re.fullmatch("[A-Z]+", text):
        raise UsageError(f"'axes' must be different capital letters that begin with N, such as NHWC (got '{text}')")
    grid = [i for i, letter in enumerate(text) if letter not in "NC"]
    if len(text) != len(shape) or len(grid) != axes:
        raise DataError(f"{path}: expected {axes} axes besides N and C, found an array {shape} and axes '{text}'")
    channel = [text.index("C")] if "C" in text else []
    return (0, *channel, *grid), shape[channel[0]] if channel else 0, tuple(shape[i] for i in grid)


def _scale(text: str, modality: GridModality) -> tuple[float, float]:
    """(factor, offset) that bring LOW and HIGH to what the modality's values are -1 and 1 for."""
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        low = high = 0.0
    if not low < high:
        raise UsageError(f"'range' must be two numbers, the lower first, such as 0,255 (got '{text}')")
    at_0, at_1 = (float(modality.values_of(torch.tensor([value]))) for value in (0.0, 1.0))
    first, last = (-1 - at_0) / (at_1 - at_0), (1 - at_0) / (at_1 - at_0)
    factor = (last - first) / (high - low)
    return factor, first - low * factor


def _held_out(rows: Rows, split: str | None, most: int) -> np.ndarray:
    """Which rows are for testing: those that a file names, or every tenth, and at most so many."""
    count = rows.shape[0]
    if split is None:
        every = max(10, -(-count // most))
        chosen: np.ndarray = np.arange(count) % every == every - 1
        return chosen
    return read_split(Path(split), rows.names(), count)
