"""A modality small enough to train in a second: waves on a line, and an INR that is linear in Fourier features."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

import attrs
import torch
from torch import Tensor

from inrkit import (
    Batch,
    DataError,
    Denoiser,
    Display,
    Draws,
    FourierFeatures,
    Grid,
    GridObservation,
    HyperTransformer,
    INRFunction,
    Measure,
    Modality,
    Params,
    PatchTokenizer,
    Preconditioning,
    Readout,
    SampleGrid,
    Signals,
    Source,
    jitter,
    make_heads,
    parse_size,
)


@attrs.frozen
class ToyOptions:
    """Everything that tests vary."""

    size: int | None = None
    count: int = 48
    width: int = 16
    dropout: float = 0.1
    bad: int = -1
    """The number of a signal that is not finite."""
    missing: int = -1
    """The number of a signal that cannot be read."""


@final
class ToySource(Source):
    """Waves of random frequency and phase."""

    def __init__(self, options: ToyOptions, split: str) -> None:
        self.options, self.split = options, split

    def __len__(self) -> int:
        return self.options.count if self.split == "train" else 4

    def read(self, numbers: Sequence[int]) -> Signals:
        if self.split == "train" and self.options.missing in numbers:
            raise DataError(f"signal {self.options.missing} cannot be read")
        values = torch.stack([self._wave(number) for number in numbers])
        return {"values": values}

    def _wave(self, number: int) -> Tensor:
        generator = torch.Generator().manual_seed(number + (0 if self.split == "train" else 10_000))
        frequency, phase = torch.rand(2, generator=generator).tolist()
        x = torch.linspace(-1, 1, self.options.size or 16)
        wave = torch.sin(3 * (1 + frequency) * x + 6 * phase)[None]
        return wave * float("nan") if number == self.options.bad and self.split == "train" else wave

    @property
    def facts(self) -> Mapping[str, Any]:
        return {"title": "waves", "count": len(self), "size": [self.options.size or 16]}


@final
class Linear(INRFunction):
    """outputs = features(x) · W, with every weight W belonging to the instance, and a shared scale."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.features = FourierFeatures(1, 16, 8.0)
        self.scale = torch.nn.Parameter(torch.full((), 0.1))
        self.channels = channels

    @property
    def param_shapes(self) -> Mapping[str, tuple[int, ...]]:
        return {"weight": (16, self.channels)}

    def forward(self, params: Params, coords: Tensor) -> Tensor:
        return self.features(coords) @ params["weight"] * self.scale


@final
class ToyModality(Modality, Display):
    """Waves."""

    name = "toy"
    summary = "waves on a line"
    Options = ToyOptions
    presets: Mapping[str, Mapping[str, Any]] = {
        "small": {"steps": 20, "batch_size": 8, "lr": 1e-2, "warmup": 3, "save_every": 5, "log_every": 3},
        "smaller": {"steps": 4, "options": {"width": 8}},
    }

    options: ToyOptions

    def source(self, data: Path | None, split: str) -> Source:
        return ToySource(self.options, split)

    def fit_options(self, source: Source) -> ToyOptions:
        return attrs.evolve(self.options, size=self.options.size or source.facts["size"][0])

    def measure(self, readout: Readout) -> Measure:
        return Measure(Linear(readout.heads), SampleGrid(), Preconditioning(), readout)

    def denoiser(self, measure: Measure) -> Denoiser:
        width, size = self.options.width, self.options.size or 16
        return HyperTransformer(
            PatchTokenizer((size,), 1, 4, width),
            make_heads(measure.function.param_shapes, "tokens", width),
            dim=width,
            depth=1,
            decoder_depth=1,
            attention_heads=2,
            hidden=2 * width,
            dropout=self.options.dropout,
        )

    def observe(self, signals: Signals, draws: Draws, *, training: bool) -> Batch:
        values = signals["values"].to(draws.device)
        support = GridObservation(values, Grid((values.shape[-1],), device=values.device))
        where = jitter(support.where, draws, per_row=True) if training else support.where
        return Batch(support, GridObservation(values, where))

    def template(self, rows: int) -> GridObservation:
        size = self.options.size or 16
        return GridObservation(torch.zeros(rows, 1, size), Grid((size,)))

    @property
    def display(self) -> Display:
        return self

    def read(self, paths: Sequence[Path]) -> tuple[Signals, Sequence[str]]:
        rows = [torch.tensor([float(word) for word in path.read_text().split()]) for path in paths]
        return {"values": torch.stack(rows)[:, None]}, [path.stem for path in paths]

    def places(self, request: Mapping[str, str]) -> Sequence[Grid]:
        return [Grid(parse_size(request["size"], 1) if "size" in request else (self.options.size or 16,))]

    def pictures(self, values: Tensor) -> Tensor:
        return ((values[:, :, None] + 1) / 2).clamp(0, 1).expand(-1, 3, 8, -1)

    def write(self, values: Sequence[Tensor], path: Path) -> Path:
        path.write_text(" ".join(str(value) for value in values[0].flatten().tolist()))
        return path
