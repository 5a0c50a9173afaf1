"""Where signals on a grid come from: a store, or a generator of invented ones."""

import abc
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from inrkit.core.draws import seed_of
from inrkit.core.kept import Kept
from inrkit.core.modality import Signals, Source
from inrkit.errors import DataError, PluginError
from inrkit.nn.grid import Grid
from inrkit.storage.store import Store

Invent = Callable[[torch.Generator], Callable[[Tensor], Tensor]]
"""A generator of chance to a signal: a function of places (P, axes) in [-1, 1] to values (P, channels)."""


_FEW_CHANNELS = 4


class DrawnSignals(Source, abc.ABC):
    """Signals that are computed when they are first read, and kept while 256 MB hold them; known at every place.

    Args:
        title: What they are.
        count: How many there are.
        size: Of the grid that they are read on.
        class_names: Of their classes, if they have any.
    """

    def __init__(self, title: str, count: int, size: tuple[int, ...], class_names: Sequence[str] = ()) -> None:
        self.title, self.count, self.size, self.class_names = title, count, size, class_names
        self._drawn = Kept[int](self._draw)

    @abc.abstractmethod
    def at(self, numbers: Sequence[int], where: Any) -> Tensor | None:
        """These signals at any place, (B, C, *size) or (B, C, P); None where they are not known."""

    def labels(self, numbers: Sequence[int]) -> Tensor | None:
        """Their classes (B,), indices into ``class_names``; None without classes."""
        return None

    def stored(self, values: Tensor) -> Tensor:
        """Values in the type that they are kept in."""
        return values.float()

    def __len__(self) -> int:
        return self.count

    def read(self, numbers: Sequence[int]) -> Signals:
        values, labels = self._drawn(numbers), self.labels(numbers)
        return {"values": values} if labels is None else {"values": values, "label": labels}

    def _draw(self, numbers: Sequence[int]) -> Tensor:
        drawn = self.at(numbers, Grid(self.size))
        if drawn is None:
            raise PluginError(f"`{type(self).__name__}.at` must know its signals on a whole grid (got None)")
        return self.stored(drawn)

    @property
    def facts(self) -> Mapping[str, Any]:
        one = self.at([0], Grid((1,) * len(self.size)))
        return _facts(self.title, len(self), 1 if one is None else one.shape[1], self.size, self.class_names)


@final
class InventedSignals(DrawnSignals):
    """Signals that a modality invents.

    Args:
        invent: Makes one; the same chance makes the same one. Picklable.
        name: Of the modality.
    """

    def __init__(self, invent: Invent, name: str, split: str, count: int, size: tuple[int, ...]) -> None:
        super().__init__(f"invented signals ({name})", count, size)
        self.invent, self.name, self.split = invent, name, split

    def at(self, numbers: Sequence[int], where: Any) -> Tensor | None:
        coords = where.coords(0, where.count).cpu()
        if len(coords) > 1:
            return None
        values = torch.stack([self._values(number, coords[0]) for number in numbers]).transpose(1, 2)
        return values if where.index is not None else values.unflatten(2, where.size)

    def _values(self, number: int, coords: Tensor) -> Tensor:
        chance = torch.Generator().manual_seed(seed_of(self.name, self.split, number))
        values = self.invent(chance)(coords)
        if values.ndim != 2 or len(values) != len(coords):
            raise PluginError(
                f"an invented signal of '{self.name}' must give values ({len(coords)}, channels) at places "
                f"{tuple(coords.shape)} (got {tuple(values.shape)})"
            )
        return values


@final
class StoredGrids(Source):
    """Signals of a store: an array (N, C, *size), or (N, *size, C), and ``labels`` (N,) if there are any.

    A store that says which signals are for testing (array ``split``, 0 train and 1 test) is divided so; otherwise
    every tenth signal, and at most ``held_out`` of them, are held out.

    Args:
        array: The array's name.
        channels_last: Whether the channels are its last axis.
    """

    def __init__(
        self, path: Path, modality: str, axes: int, split: str, array: str, *, channels_last: bool, held_out: int
    ) -> None:
        self._store, self._array, self._channels_last = Store(path), array, channels_last
        if self._store.modality != modality:
            raise DataError(f"{path}: expected a store of modality '{modality}', found '{self._store.modality}'")
        if array not in self._store.names or len(self._store.shape(array)) != axes + 2:
            found = ", ".join(f"{name} {self._store.shape(name)}" for name in self._store.names)
            form = "(N, ..., C)" if channels_last else "(N, C, ...)"
            raise DataError(f"{path}: expected an array '{array}' {form} with {axes} further axes, found {found}")
        shape = self._store.shape(array)
        if channels_last and shape[1] <= _FEW_CHANNELS < shape[-1]:
            advice = "move the axis of channels to the end"
            raise DataError(f"{path}: expected an array '{array}' (N, ..., C), found {shape}; {advice}")
        count = len(self._store)
        if "split" in self._store.names:
            marks = torch.from_numpy(self._store.read("split", slice(0, count)))
            chosen = marks == (0 if split == "train" else 1)
        else:
            every = max(10, -(-count // held_out))
            last = torch.arange(count) % every == every - 1
            chosen = last if split == "test" else ~last
        self._numbers = chosen.nonzero().squeeze(1).numpy()
        if not len(self._numbers):
            raise DataError(f"{path}: no signals for '{split}' among its {count}; at least 10 are needed")

    def __len__(self) -> int:
        return len(self._numbers)

    def read(self, numbers: Sequence[int]) -> Signals:
        index = self._numbers[np.asarray(numbers, np.int64)]
        values = torch.from_numpy(self._store.read(self._array, index))
        values = values.movedim(-1, 1) if self._channels_last else values
        if "labels" not in self._store.names:
            return {"values": values}
        return {"values": values, "label": torch.from_numpy(self._store.read("labels", index)).long()}

    @property
    def facts(self) -> Mapping[str, Any]:
        attributes, (_, *shape) = self._store.attributes, self._store.shape(self._array)
        channels, size = (shape[-1], shape[:-1]) if self._channels_last else (shape[0], shape[1:])
        names = attributes.get("class_names", [])
        known = {key: value for key, value in attributes.items() if isinstance(value, int | float | str)}
        return {**known, **_facts(attributes.get("title", ""), len(self), channels, size, names)}


def _facts(title: str, count: int, channels: int, size: Sequence[int], class_names: Sequence[str]) -> dict[str, Any]:
    return {
        "title": title,
        "count": count,
        "channels": channels,
        "size": list(size),
        "classes": len(class_names),
        "class_names": list(class_names),
    }
