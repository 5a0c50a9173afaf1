"""Params from a file that ``inrkit encode RUN --data`` wrote."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

import torch

from inrkit import DataError, Signals, Source, Store


@final
class StoredParams(Source):
    """Vectors of params: those of each signal one after the other, in the order of the function's names.

    A file that holds both splits is divided as it says; of one that holds a single split every tenth signal is held
    out.
    """

    def __init__(self, path: Path, split: str) -> None:
        self._store = Store(path)
        if self._store.modality != "params":
            raise DataError(f"{path}: expected a store of modality 'params', found '{self._store.modality}'")
        names = self._store.attributes.get("names")
        if not isinstance(names, list) or any(f"params.{name}" not in self._store.names for name in names):
            raise DataError(f"{path}: expected the 'names' of its params, found {str(names)[:60]}")
        self._names = sorted(map(str, names))
        count = len(self._store)
        marks = torch.from_numpy(self._store.read("split", slice(0, count)))
        if marks.min() == marks.max():
            chosen = (torch.arange(count) % 10 == 9) == (split == "test")
        else:
            chosen = marks == (1 if split == "test" else 0)
        self._numbers = chosen.nonzero().squeeze(1)
        if not len(self._numbers):
            raise DataError(f"{path}: no params for '{split}' among its {count}; at least 10 signals are needed")

    def __len__(self) -> int:
        return len(self._numbers)

    def read(self, numbers: Sequence[int]) -> Signals:
        index = self._numbers[torch.as_tensor(numbers, dtype=torch.int64)].tolist()
        parts = [torch.from_numpy(self._store.read(f"params.{name}", index)).flatten(1) for name in self._names]
        signals = {"values": torch.cat(parts, dim=1).float()}
        if "labels" in self._store.names:
            signals["label"] = torch.from_numpy(self._store.read("labels", index)).long()
        return signals

    @property
    def facts(self) -> Mapping[str, Any]:
        attributes = self._store.attributes
        shapes = [self._store.shape(f"params.{name}")[1:] for name in self._names]
        classes = list(attributes.get("class_names", []))
        return {
            "title": attributes.get("title", ""),
            "count": len(self),
            "length": sum(torch.Size(shape).numel() for shape in shapes),
            "file": str(self._store.path),
            "classes": len(classes),
            "class_names": classes,
        }
