"""Params as people look at them: by way of the signals whose params they are."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

import attrs
import torch
from torch import Tensor

from inrkit import DataError, Display, InrFile, Signals, load_inrs, make_readout
from inrkit_params.first import First, vector_of


@final
@attrs.frozen
class Shown:
    """Not a place among the numbers of a vector, but one where the signal that they are the params of is measured."""

    where: Any

    @property
    def count(self) -> int:
        return int(getattr(self.where, "count", 0))

    def to(self, device: torch.device | str) -> "Shown":
        return Shown(self.where.to(device) if hasattr(self.where, "to") else self.where)


@final
class ParamsDisplay(Display):
    """What the INRs of a first stage show, whose params our signals are.

    Args:
        first: The first stage.
        length: Of the observed vectors.
    """

    def __init__(self, first: First, length: int) -> None:
        self.first, self.length = first, length

    def places(self, request: Mapping[str, str]) -> Sequence[Shown]:
        return [Shown(where) for where in self.first.display.places(request)]

    def pictures(self, values: Tensor) -> Tensor:
        first = self.first
        if tuple(values.shape[1:]) == (1, self.length):
            where = self.places(first.display.preview)[0].to(values.device).where
            values = first.show(values[:, 0, : len(first.mean)], where)
        return first.display.pictures(values)

    def read(self, paths: Sequence[Path]) -> tuple[Signals, Sequence[str]]:
        first, vectors, names = self.first, [], []
        for path, inr in ((file, inr) for file in paths for inr in load_inrs(file)):
            shapes = {name: tuple(value.shape) for name, value in inr.params.items()}
            wanted = {name: tuple(value.shape) for name, value in first.inr.params.items()}
            if (inr.function, shapes) != (first.inr.function, wanted):
                raise DataError(f"{path}: expected params of '{first.inr.function}' {wanted}, found {shapes}")
            vectors.append(vector_of(inr.params))
            names.append(path.stem)
        return {"values": torch.stack(vectors)}, names

    def write(self, values: Sequence[Tensor], path: Path) -> Path:
        return self.first.display.write(values, path)

    def unwrap(self, inr: InrFile) -> InrFile:
        """An INR of the first stage: a sample of ours is the params of one of its functions."""
        first, table = self.first, dict(inr.readout)
        readout = make_readout(str(table.pop("name")), **table)
        signal = readout.signal(inr.params["values"][None], torch.tensor([inr.t]))[:, 0, : len(first.mean)]
        return first.file(first.unscaled(signal)[0], inr.provenance)
