"""Params as signals: a vector of numbers, an identity in place of a transform, and the way back to the first stage."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, final

import attrs
import torch
from torch import Tensor
from torch.nn import functional as F

from inrkit import (
    Batch,
    Denoiser,
    Draws,
    Field,
    Grid,
    GridObservation,
    Measure,
    Modality,
    Preconditioning,
    Readout,
    SampleGrid,
    Signals,
    Source,
    Store,
    Transform,
    UsageError,
    check_parts,
    make_denoiser,
    make_function,
)
from inrkit_params.display import ParamsDisplay, Shown
from inrkit_params.first import First, open_first
from inrkit_params.options import PRESETS, ParamsOptions
from inrkit_params.source import StoredParams

_FUNCTION: Mapping[str, Any] = {"interpolation": "nearest"}  # its own centers are all that it is asked for


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

    def fit_options(self, source: Source) -> ParamsOptions:
        facts, options = source.facts, self.options
        read = {name: facts[name] for name in ("length", "classes", "file") if getattr(options, name) is None}
        options = attrs.evolve(options, **read)
        if options.length != facts["length"]:
            raise UsageError(f"'options.length' is {options.length}, but the data's params have {facts['length']}")
        check_parts("grid", _FUNCTION, options.denoiser, options.denoiser_options)
        return options

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

    def measure(self, readout: Readout) -> Measure:
        if readout.name == "literal":
            raise UsageError("the modality 'params' needs a read-out that shows the params: direct or two-headed")
        function = make_function("grid", _FUNCTION, axes=1, channels=readout.heads, size=(self._length,))
        transform = ReadParams(self._length, self._first, readout)
        return Measure(function, transform, Preconditioning(self.options.sigma_data), readout)

    def denoiser(self, measure: Measure) -> Denoiser:
        o = self.options
        return make_denoiser(
            o.denoiser,
            o.denoiser_options,
            template=self.template(1),
            shapes=measure.function.param_shapes,
            classes=o.classes or 0,
            measure=measure,
        )

    @property
    def display(self) -> ParamsDisplay:
        return ParamsDisplay(self._first, self._length)

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
