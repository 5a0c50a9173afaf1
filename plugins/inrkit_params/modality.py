"""Params as signals: a vector of numbers, an identity in place of a transform, and the way back to the first stage."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, final

import attrs
import torch
from torch import Tensor
from torch.nn import functional as F

from inrkit import (
    Batch,
    DataError,
    Draws,
    Field,
    Grid,
    GridObservation,
    InrFile,
    Measure,
    Modality,
    Pipeline,
    Preconditioning,
    Readout,
    SampleGrid,
    Signals,
    Source,
    Store,
    Transform,
    UsageError,
    check_parts,
    load_inr,
    make_denoiser,
    make_function,
    make_readout,
)
from inrkit_params.first import First, open_first, vector_of
from inrkit_params.options import PRESETS, ParamsOptions
from inrkit_params.source import StoredParams

_FUNCTION: Mapping[str, Any] = {"interpolation": "nearest"}  # its own centers are all that it is asked for


@final
@attrs.frozen
class Shown:
    """Not a place among the numbers of a vector, but one where the signal that they are the params of is measured."""

    where: Any

    def to(self, device: torch.device | str) -> "Shown":
        return Shown(self.where.to(device) if hasattr(self.where, "to") else self.where)


@final
class ReadParams(Transform):
    """The numbers themselves; or, at a `Shown` place, what the INR whose params they are shows there."""

    def __init__(self, length: int, first: First, readout: Readout) -> None:
        self.grid, self.first, self.readout = Grid((length,)), first, readout

    def __call__(self, field: Field, where: Any) -> Tensor:
        if not isinstance(where, Shown):
            return SampleGrid()(field, where)
        render = SampleGrid()(field, self.grid)
        values = self.first.show(render[:, 0, : len(self.first.mean)], where.where)
        return values.repeat(1, self.readout.heads, *[1] * (values.ndim - 2))


@final
class ParamsModality(Modality):
    """Vectors of params, scaled to unit spread; a network for sequences; pictures by way of the first stage."""

    name = "params"
    summary = "params of INRs that another run encoded"
    Options = ParamsOptions
    presets = PRESETS
    known_failures: ClassVar[Mapping[str, str]] = {
        "readouts_agree": "the literal read-out shows no params, and is refused",
        "what_is_written_can_be_read": "the first stage's picture is written, and .inr files are read",
    }

    options: ParamsOptions

    # ------------------------------------------------------------------------------------------ data

    def source(self, data: Path | None, split: str) -> Source:
        path = data if data is not None else self.options.file
        if path is None:
            raise UsageError(
                "the modality 'params' has no data of its own: make a file with `inrkit encode RUN --data ...` and "
                "give it as --data"
            )
        return StoredParams(Path(path), split)

    def fitted(self, source: Source) -> ParamsOptions:
        facts, options = source.facts, self.options
        if options.length is None:
            options = attrs.evolve(options, length=facts["length"])
        elif options.length != facts["length"]:
            raise UsageError(f"'options.length' is {options.length}, but the data's params have {facts['length']}")
        if options.classes is None:
            options = attrs.evolve(options, classes=facts["classes"])
        if options.file is None:
            options = attrs.evolve(options, file=facts["file"])
        check_parts("grid", _FUNCTION, options.denoiser, options.denoiser_options)
        return options

    def read(self, paths: Sequence[Path]) -> tuple[Signals, Sequence[str]]:
        first, vectors = self._first, []
        for path in paths:
            inr = load_inr(path)
            shapes = {name: tuple(value.shape) for name, value in inr.params.items()}
            wanted = {name: tuple(value.shape) for name, value in first.inr.params.items()}
            if (inr.function, shapes) != (first.inr.function, wanted):
                raise DataError(f"{path}: expected params of '{first.inr.function}' {wanted}, found {shapes}")
            vectors.append(vector_of(inr.params))
        return {"values": torch.stack(vectors)}, [path.stem for path in paths]

    # ------------------------------------------------------------------------------------------ observations

    def observe(self, signals: Signals, draws: Draws, *, training: bool) -> Batch:
        values = self._first.scaled(signals["values"].to(draws.device))
        values = F.pad(values, (0, self._length - values.shape[1]))[:, None]
        observation = GridObservation(values, Grid((self._length,), device=values.device))
        label = signals["label"].to(draws.device) if self.options.classes and "label" in signals else None
        return Batch(observation, observation, label)

    def template(self, rows: int) -> GridObservation:
        return GridObservation(torch.zeros(rows, 1, self._length), Grid((self._length,)))

    # ------------------------------------------------------------------------------------------ the pipeline

    def build(self, readout: Readout) -> Pipeline:
        o = self.options
        if readout.name == "literal":
            raise UsageError("the modality 'params' needs a read-out that shows the params: direct or two-headed")
        function = make_function("grid", _FUNCTION, axes=1, channels=readout.heads, size=(self._length,))
        transform, preconditioning = ReadParams(self._length, self._first, readout), Preconditioning(o.sigma_data)
        denoiser = make_denoiser(
            o.denoiser,
            o.denoiser_options,
            template=self.template(1),
            shapes=function.param_shapes,
            classes=o.classes or 0,
            measure=Measure(function, transform, preconditioning, readout),
        )
        return Pipeline(denoiser, function, transform, preconditioning, readout)

    # ------------------------------------------------------------------------------------------ showing

    def places(self, request: Mapping[str, str]) -> Sequence[Shown]:
        return [Shown(where) for where in self._first.kind.places(request)]

    def pictures(self, values: Tensor) -> Tensor:
        first = self._first
        if tuple(values.shape[1:]) == (1, self._length):
            where = first.kind.places(first.kind.shown_at)[0]
            where = where.to(values.device) if hasattr(where, "to") else where
            values = first.show(values[:, 0, : len(first.mean)], where)
        return first.kind.pictures(values)

    def finished(self, inr: InrFile) -> InrFile:
        """An INR of the first stage: a sample of ours is the params of one of its functions."""
        first, table = self._first, dict(inr.readout)
        readout = make_readout(str(table.pop("name")), **table)
        signal = readout.signal(inr.params["values"][None], torch.tensor([inr.t]))[:, 0, : len(first.mean)]
        return first.file(first.unscaled(signal)[0], inr.provenance)

    def write(self, values: Sequence[Tensor], path: Path) -> Path:
        return self._first.kind.write(values, path)

    # ------------------------------------------------------------------------------------------ resolved options

    @property
    def _first(self) -> First:
        if self.options.file is None:
            raise UsageError("'options.file' is not set: fit the options to a file of params first, or set it")
        return open_first(Store(self.options.file))

    @property
    def _length(self) -> int:
        """Of the observed vectors: filled up to a multiple."""
        length = len(self._first.mean) if self.options.length is None else self.options.length
        return -(-length // self.options.multiple) * self.options.multiple
