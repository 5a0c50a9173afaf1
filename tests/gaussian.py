"""A toy with known answers: independent Gaussian values, and a pipeline whose optimum is linear in them.

For a value x ~ N(m, s²) and x_t = x + t z:

    mean of x given x_t            D(x_t, t) = m + s² / (s² + t²) (x_t - m)
    consistency function           f(x_t, t) = m + s / sqrt(s² + t²) (x_t - m)
    least-squares fit of f at t
    to a linear target with gain   g(t) = g(r) (s² + t r) / (s² + t²)
    g(r) at r, same noise
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from inrkit import (
    Batch,
    Denoiser,
    DirectReadout,
    Grid,
    GridObservation,
    HyperTransformer,
    INRFunction,
    Level,
    Measure,
    Observation,
    Params,
    PatchTokenizer,
    Pipeline,
    Preconditioning,
    Readout,
    SampleGrid,
    make_heads,
)

MEAN = torch.tensor([0.5, -0.25])
STD = torch.tensor([0.3, 0.8])


class Lookup(INRFunction):
    """Params are values on a grid of ``cells``; a coordinate reads the cell that it lies in."""

    def __init__(self, cells: int, channels: int = 1) -> None:
        super().__init__()
        self.cells, self.channels = cells, channels

    @property
    def param_shapes(self) -> Mapping[str, tuple[int, ...]]:
        return {"values": (self.cells, self.channels)}

    def forward(self, params: Params, coords: Tensor) -> Tensor:
        values = params["values"]
        index = ((coords[..., 0] + 1) / 2 * self.cells).floor().long().clamp(0, self.cells - 1)
        return values.gather(1, index.expand(len(values), -1)[..., None].expand(-1, -1, self.channels))


class Linear(Denoiser):
    """values = gain(c_noise) x + bias(c_noise) for each cell; both are interpolated between knots.

    Remembers every pass as (values it saw, noise levels, label).
    """

    def __init__(self, cells: int, heads: int = 1, knots: int = 41) -> None:
        super().__init__()
        self.low, self.high, self.knots = math.log(0.003) / 4, math.log(80) / 4, knots
        self.gain = nn.Parameter(torch.full((knots, cells, heads), 0.2))
        self.bias = nn.Parameter(torch.zeros(knots, cells, heads))
        self.seen: list[tuple[Tensor, Tensor, Tensor | None]] = []

    def forward(self, observation: Observation, level: Level, label: Tensor | None = None) -> Params:
        x = observation.values
        self.seen.append((x.detach(), level.noise_level, label))
        place = ((level.noise_level - self.low) / (self.high - self.low) * (self.knots - 1)).clamp(
            0, self.knots - 1.001
        )
        left = place.floor().long()
        share = (place - left)[:, None, None]
        gain = torch.lerp(self.gain[left], self.gain[left + 1], share)
        bias = torch.lerp(self.bias[left], self.bias[left + 1], share)
        return {"values": gain * x.transpose(1, 2) + bias}


def linear_pipeline(readout: Readout | None = None, cells: int = 2) -> Pipeline:
    """The toy: a table of gains and biases, read out by ``readout`` (direct by default)."""
    readout = DirectReadout() if readout is None else readout
    denoiser, function = Linear(cells, readout.heads), Lookup(cells, readout.heads)
    return Pipeline(denoiser, Measure(function, SampleGrid(), Preconditioning(), readout))


def transformer_pipeline(readout: Readout | None = None, *, dropout: float = 0.0, classes: int = 0) -> Pipeline:
    """A small hyper-network for 8 values, with all of its weights random so that no part of it starts at zero."""
    readout = DirectReadout() if readout is None else readout
    function = Lookup(8, readout.heads)
    denoiser = HyperTransformer(
        PatchTokenizer((8,), 1, 2, 16),
        make_heads(function.param_shapes, "tokens", 16),
        dim=16,
        depth=2,
        decoder_depth=2,
        attention_heads=2,
        hidden=32,
        dropout=dropout,
        classes=classes,
    )
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in denoiser.parameters():
            p.normal_(0, 0.2, generator=generator)
    return Pipeline(denoiser, Measure(function, SampleGrid(), Preconditioning(), readout))


def observed(values: Tensor) -> GridObservation:
    """Values (B, 1, cells) on their grid."""
    return GridObservation(values, Grid(tuple(values.shape[2:])))


def batch_of(values: Tensor, label: Tensor | None = None) -> Batch:
    """Support and query that are the same."""
    return Batch(observed(values), observed(values), label)


def gaussian_batch(rows: int, generator: torch.Generator) -> Batch:
    """Fresh data of the toy."""
    return batch_of(MEAN + STD * torch.randn(rows, 1, len(MEAN), generator=generator))


def answer(pipeline: Pipeline, x_t: Tensor, t: float) -> Tensor:
    """f(x_t, t) for values (B, 1, cells)."""
    with torch.no_grad():
        return pipeline(observed(x_t), torch.full((len(x_t),), t)).observation.values


def gain_at(pipeline: Pipeline, t: float) -> Tensor:
    """The slope of f(., t) for each cell; f is linear in x_t."""
    x = torch.stack([MEAN, MEAN + 1])[:, None]
    low, high = answer(pipeline, x, t)
    return (high - low)[0]
