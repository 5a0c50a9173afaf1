"""Signals that a program has in its memory, or makes one by one, as a data set that a run can go on with."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inrkit.core.modality import Modality
from inrkit.errors import DataError, UsageError
from inrkit.gridded.modality import GridModality
from inrkit.storage.storewriter import StoreWriter

_PAIR = 2  # a signal and its class


def stored(data: Any, cls: type[Modality], path: Path) -> Path:
    """The signals as a store: a torch `Dataset`, an array or a tensor (N, ...), or anything that can be gone through.

    An item is a signal, a pair of a signal and its class, or a mapping that has one entry for each. A signal is an
    array or a tensor, with its axis of channels first, last, or left out, or a picture. Equal data give equal files.

    Args:
        cls: The modality, one on a grid.
        path: Of the store, which is written anew.
    """
    if not issubclass(cls, GridModality):
        raise UsageError(
            f"'data' in memory can be signals on a grid, which those of '{cls.name}' are not; import them, and give "
            "the path of the store"
        )
    modality, classes = cls(cls.Options()), set[int]()
    with StoreWriter(path, cls.name, overwrite=True) as out:
        out.attributes["title"] = type(data).__name__
        for number, item in enumerate(_items(data)):
            values, label = _parted(item, number)
            array = _laid_out(modality, values, number)
            beside = {} if label is None else {"labels": np.array([label], np.int64)}
            out.append({cls.array: array[None], **beside})
            classes |= {-1 if label is None else label}
        if classes - {-1}:
            out.attributes["class_names"] = [str(k) for k in range(max(classes) + 1)]
    return path


def _items(data: Any) -> Iterator[Any]:
    if isinstance(data, torch.utils.data.IterableDataset):
        return iter(data)
    if isinstance(data, torch.utils.data.Dataset) and hasattr(data, "__len__"):
        return (data[number] for number in range(len(data)))
    if isinstance(data, Iterable) and not isinstance(data, Mapping | bytes):
        return iter(data)
    raise UsageError(
        f"'data' must be a path, a torch Dataset, an array, or a list of signals (got {type(data).__name__})"
    )


def _parted(item: Any, number: int) -> tuple[Any, int | None]:
    """The signal and the class."""
    parts = list(item.values()) if isinstance(item, Mapping) else item if isinstance(item, tuple) else [item]
    if not 1 <= len(parts) <= _PAIR:
        raise DataError(f"signal {number} of 'data': expected a signal, or one and its class, found {len(parts)} parts")
    if len(parts) == 1:
        return parts[0], None
    label = np.asarray(parts[1])
    if label.size != 1 or label.dtype.kind not in "ui" or int(label.reshape(())) < 0:
        raise DataError(f"signal {number} of 'data': expected a class number from 0, found {str(parts[1])[:40]}")
    return parts[0], int(label.reshape(()))


def _laid_out(modality: GridModality, given: Any, number: int) -> np.ndarray:
    """One signal as the modality's stores have it."""
    try:
        array = np.asarray(given.detach().cpu() if isinstance(given, Tensor) else given)
    except (TypeError, ValueError) as error:
        raise DataError(f"signal {number} of 'data': expected an array, found {str(error)[:80]}") from error
    axes, what = modality.axes, f"signal {number} of 'data'"
    if array.dtype.kind not in "uif" or array.ndim not in (axes, axes + 1) or not array.size:
        raise DataError(
            f"{what}: expected numbers with {axes} axes, and one more for channels or none, found {array.dtype} "
            f"{array.shape}"
        )
    array = array.astype(np.float32) if array.dtype.kind == "f" else array
    if array.ndim == axes:
        array = array[None]
    elif array.shape[-1] < array.shape[0] or (array.shape[-1] == array.shape[0] and modality.channels_last):
        array = np.moveaxis(array, -1, 0)
    _check_range(modality, array, what)
    return np.ascontiguousarray(np.moveaxis(array, 0, -1) if modality.channels_last else array)


def _check_range(modality: GridModality, array: np.ndarray, what: str) -> None:
    """Floats have no range of their own: those of 0 to 255 would be learned as they are."""
    if array.dtype.kind != "f":
        return
    at_0, at_1 = (float(modality.values_of(torch.tensor([value]))) for value in (0.0, 1.0))
    low, high = (-1 - at_0) / (at_1 - at_0), (1 - at_0) / (at_1 - at_0)
    slack = 10.0 if at_0 == 0 else 1e-3  # some signals go beyond -1 and 1 now and then
    if not (low - slack * (high - low) <= array.min() and array.max() <= high + slack * (high - low)):
        raise DataError(
            f"{what}: expected finite floats from {low:g} to {high:g}, found {array.min():g} to {array.max():g}; scale "
            "them, or give bytes"
        )
