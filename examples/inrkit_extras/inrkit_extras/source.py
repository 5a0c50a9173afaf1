"""A source: the rows of an array, for any modality on a grid."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
import torch

import inrkit


@final
class ArrayRows(inrkit.Source):
    """Every tenth row of an array (N, C, *size) of floats in [-1, 1] is held out."""

    def __init__(self, path: Path, split: str) -> None:
        try:
            self.rows = torch.from_numpy(np.load(path, allow_pickle=False))
        except (OSError, ValueError, EOFError, TypeError) as error:
            raise inrkit.DataError(f"{path}: expected an array as .npy, found {error}") from error
        held_out = torch.arange(len(self.rows)) % 10 == 9
        self.rows = self.rows[held_out if split == "test" else ~held_out]

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, numbers: Sequence[int]) -> inrkit.Signals:
        return {"values": self.rows[torch.as_tensor(numbers)]}

    @property
    def facts(self) -> Mapping[str, Any]:
        count, channels, *size = self.rows.shape
        return {"count": count, "channels": channels, "size": size, "classes": 0, "class_names": []}


@final
class ArrayOpener(inrkit.SourceOpener):
    """``npy://PATH``."""

    name = "npy"

    def absolute(self, address: str) -> str:
        return str(Path(address).expanduser().absolute())

    def open(self, address: str, modality: inrkit.Modality, split: str) -> inrkit.Source:
        return ArrayRows(Path(address), split)
