"""Where signals on a grid come from: a store, or a generator of invented ones."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor

from inrkit.core.draws import seed_of
from inrkit.core.modality import Signals, Source
from inrkit.errors import DataError, PluginError
from inrkit.nn.fourier import grid_centers
from inrkit.storage.store import Store

HELD_OUT = 500
"""Invented signals of the test split; and at most so many of a store that has no test split of its own."""

Invent = Callable[[torch.Generator], Callable[[Tensor], Tensor]]
"""A generator of chance to a signal: a function of places (P, axes) in [-1, 1] to values (P, channels)."""


@final
class InventedSignals(Source):
    """Signals that are drawn when they are first read, and kept.

    Args:
        invent: Makes one; the same chance makes the same one. Picklable.
        name: Of the modality.
        size: Of the grid that they are read on.
    """

    def __init__(self, invent: Invent, name: str, split: str, count: int, size: tuple[int, ...]) -> None:
        self.invent, self.name, self.size = invent, name, size
        self.split, self.count = split, count if split == "train" else HELD_OUT
        self._drawn: dict[int, Tensor] = {}

    def __len__(self) -> int:
        return self.count

    def read(self, numbers: Sequence[int]) -> Signals:
        for number in numbers:
            if number not in self._drawn:
                values = self.at([number], grid_centers(self.size))[0]
                self._drawn[number] = values.T.unflatten(1, self.size).float()
        return {"values": torch.stack([self._drawn[number] for number in numbers])}

    def at(self, numbers: Sequence[int], coords: Tensor) -> Tensor:
        """The same signals at any places (P, axes): (B, P, channels)."""
        return torch.stack([self._values(number, coords) for number in numbers])

    def _values(self, number: int, coords: Tensor) -> Tensor:
        chance = torch.Generator().manual_seed(seed_of(self.name, self.split, number))
        values = self.invent(chance)(coords)
        if values.ndim != 2 or len(values) != len(coords):
            raise PluginError(
                f"an invented signal of '{self.name}' must give values ({len(coords)}, channels) at places "
                f"{tuple(coords.shape)} (got {tuple(values.shape)})"
            )
        return values

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_drawn": {}}

    @property
    def facts(self) -> Mapping[str, Any]:
        channels = self.at([0], torch.zeros(1, len(self.size))).shape[2]
        return {
            "title": f"invented signals ({self.name})",
            "count": len(self),
            "channels": channels,
            "size": list(self.size),
            "classes": 0,
            "class_names": [],
        }


@final
class StoredGrids(Source):
    """Signals of a store: its array ``values`` (N, C, *size), and ``labels`` (N,) if there are any.

    A store that says which signals are for testing (array ``split``, 0 train and 1 test) is divided so; otherwise
    every tenth signal, and at most `HELD_OUT` of them, are held out.
    """

    def __init__(self, path: Path, modality: str, axes: int, split: str) -> None:
        self._store = Store(path)
        if self._store.modality != modality:
            raise DataError(f"{path}: expected a store of modality '{modality}', found '{self._store.modality}'")
        if "values" not in self._store.names or len(self._store.shape("values")) != axes + 2:
            found = ", ".join(f"{name} {self._store.shape(name)}" for name in self._store.names)
            raise DataError(f"{path}: expected an array 'values' (N, C, ...) with {axes} further axes, found {found}")
        count = len(self._store)
        if "split" in self._store.names:
            marks = torch.from_numpy(self._store.read("split", slice(0, count)))
            chosen = marks == (0 if split == "train" else 1)
        else:
            every = max(10, -(-count // HELD_OUT))
            held_out = torch.arange(count) % every == every - 1
            chosen = held_out if split == "test" else ~held_out
        self._numbers = chosen.nonzero().squeeze(1)
        if not len(self._numbers):
            raise DataError(f"{path}: no signals for '{split}' among its {count}; at least 10 are needed")

    def __len__(self) -> int:
        return len(self._numbers)

    def read(self, numbers: Sequence[int]) -> Signals:
        index = self._numbers[torch.as_tensor(numbers, dtype=torch.int64)].tolist()
        values = torch.from_numpy(self._store.read("values", index))
        if "labels" not in self._store.names:
            return {"values": values}
        return {"values": values, "label": torch.from_numpy(self._store.read("labels", index)).long()}

    @property
    def facts(self) -> Mapping[str, Any]:
        _, channels, *size = self._store.shape("values")
        names = list(self._store.attributes.get("class_names", []))
        return {
            **{key: value for key, value in self._store.attributes.items() if isinstance(value, int | float | str)},
            "title": self._store.attributes.get("title", ""),
            "count": len(self),
            "channels": channels,
            "size": size,
            "classes": len(names),
            "class_names": names,
        }
