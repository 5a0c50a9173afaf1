"""The plugin ``flow``: flow maps of Gaussian data are known in closed form, and its objective trains to them.

For x ~ N(m, S²) the ODE leads from x_t to x_s = m + sqrt((S² + s²) / (S² + t²)) (x_t - m), so that the prediction f in
x_s = (s/t) x_t + (1 - s/t) f has the gain g(t, s) = (sqrt((S² + s²) / (S² + t²)) - s/t) / (1 - s/t).
"""

import itertools
import math
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from toy_run import train_toy

import inrkit
from inrkit import (
    Denoiser,
    DirectReadout,
    Draws,
    Level,
    Measure,
    Objective,
    Observation,
    Params,
    Pipeline,
    PowerEMA,
    Preconditioning,
    SampleGrid,
    SigmoidPairing,
    Step,
    attend,
    load_plugins,
    sample,
)
from inrkit.core.train import backward_step
from inrkit_flow.objective import MeanFlow
from inrkit_flow.sampler import FlowMapSampler
from inrkit_flow.shortcut import Shortcut

sys.path.insert(0, str(Path(__file__).parents[1] / "core"))
from gaussian import MEAN, STD, Lookup, gaussian_batch, observed


def exact_gain(t: float, s: float) -> Tensor:
    return (((STD**2 + s**2) / (STD**2 + t**2)).sqrt() - s / t) / (1 - s / t)


class Table(Denoiser):
    """f = gain x + bias for each cell, both bilinear in the noise level and in s/t."""

    two_times = True

    def __init__(self, knots: int = 21, shares: int = 6) -> None:
        super().__init__()
        self.low, self.high = math.log(0.003) / 4, math.log(80) / 4
        self.gain = nn.Parameter(torch.full((knots, shares, 2, 1), 0.2))
        self.bias = nn.Parameter(torch.zeros(knots, shares, 2, 1))

    def forward(self, observation: Observation, level: Level, label: Tensor | None = None) -> Params:
        assert level.until is not None
        knots, shares = self.gain.shape[:2]
        a = ((level.noise_level - self.low) / (self.high - self.low)).clamp(0, 0.9999) * (knots - 1)
        b = torch.exp(4 * (level.until - level.noise_level)).clamp(0, 0.9999) * (shares - 1)

        def read(table: Tensor) -> Tensor:
            i, j = a.long(), b.long()
            u, v = (a - i)[:, None, None], (b - j)[:, None, None]
            low = torch.lerp(table[i, j], table[i, j + 1], v)
            return torch.lerp(low, torch.lerp(table[i + 1, j], table[i + 1, j + 1], v), u)

        return {"values": read(self.gain) * observation.values.transpose(1, 2) + read(self.bias)}


class Exact(Denoiser):
    """The flow map itself."""

    two_times = True

    def forward(self, observation: Observation, level: Level, label: Tensor | None = None) -> Params:
        assert level.until is not None
        t, s = torch.exp(4 * level.noise_level)[:, None, None], torch.exp(4 * level.until)[:, None, None]
        x_t = observation.values * (0.25 + t**2).sqrt()
        posterior = STD**2 / (STD**2 + t**2)
        gain = torch.where(s / t > 0.999, posterior, (((STD**2 + s**2) / (STD**2 + t**2)).sqrt() - s / t) / (1 - s / t))
        return {"values": (MEAN + gain * (x_t - MEAN)).transpose(1, 2)}


def flow_of(denoiser: Denoiser, width: float, t_min: float = 0.003) -> Pipeline:
    return Pipeline(
        denoiser, Measure(Lookup(2), SampleGrid(), Preconditioning(t_min=t_min), DirectReadout(width=width))
    )


def gain_at(pipeline: Pipeline, t: float, s: float) -> Tensor:
    x = observed(torch.stack([MEAN, MEAN + 1])[:, None])
    with torch.no_grad():
        low, high = pipeline(x, torch.full((2,), t), until=torch.full((2,), s)).observation.values
    return (high - low)[0]


def test_the_flow_map_is_what_the_objective_asks_for() -> None:
    """The regression of its target on x_t, with the exact map at r, tends to the exact map as r tends to t."""

    def error(t: float, s: float, step: float) -> float:
        r = t - step
        posterior = STD**2 / (STD**2 + t**2)
        there = posterior + r / t * (1 - posterior)  # of x_r given x_t
        w = s * (1 / r - 1 / t) / (1 - s / t)
        return float((w * posterior + (1 - w) * exact_gain(r, s) * there - exact_gain(t, s)).abs().max())

    for t, s in ((1.0, 0.0), (1.0, 0.4), (3.0, 1.0), (0.5, 0.1)):
        errors = [error(t, s, step * t) for step in (0.04, 0.02, 0.01)]
        assert all(b / a == pytest.approx(0.25, rel=0.12) for a, b in itertools.pairwise(errors)), (t, s, errors)


def trained(objective: Objective, pipeline: Pipeline, rows: int = 512, steps: int = 1200) -> Pipeline:
    """The pipeline with the averaged weights of a run on the Gaussian."""
    generator, lr = torch.Generator().manual_seed(0), 0.02
    optimizer, ema = torch.optim.Adam(pipeline.parameters(), lr=lr, betas=(0.9, 0.99)), PowerEMA(pipeline, 0.1)
    for number in range(steps):
        optimizer.param_groups[0]["lr"] = lr * (1 - number / steps)
        optimizer.zero_grad()
        batch = gaussian_batch(rows, generator)
        backward_step(objective, Step(pipeline, pipeline, batch, Draws(number, rows), number / steps))
        optimizer.step()
        ema.update(pipeline)
    ema.copy_to(pipeline)
    return pipeline


def test_meanflow_learns_the_flow_map() -> None:
    """From any level to any other, and all the way."""
    objective = MeanFlow(p_mean=-0.3, p_std=1.3, curriculum=SigmoidPairing(stages=5, k=2.0))
    pipeline = trained(objective, flow_of(Table(), 0.1))
    for t in (0.5, 1.0, 3.0):
        for s in (0.0, 0.3 * t, 0.6 * t):
            assert torch.allclose(gain_at(pipeline, t, s), exact_gain(t, s), rtol=0.15, atol=0.02), (t, s)


class Mixed(Denoiser):
    """All values of a signal attend to each other, the level and where it leads to."""

    two_times = True

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weights = nn.ParameterList(torch.randn(3, 4, generator=generator) for _ in range(3))

    def forward(self, observation: Observation, level: Level, label: Tensor | None = None) -> Params:
        assert level.until is not None
        levels = torch.stack([level.noise_level, level.until], 1)[:, None].expand(-1, 2, -1)
        x = torch.cat([observation.values.transpose(1, 2), levels], 2)
        q, k, v = ((x @ weight)[:, None] for weight in self.weights)
        return {"values": attend(q, k, v)[:, 0, :, :1]}


@pytest.mark.parametrize("denoiser", [Exact(), Mixed()], ids=lambda denoiser: type(denoiser).__name__)
def test_a_difference_tends_to_the_forward_derivative(denoiser: Denoiser) -> None:
    """As r tends to t, also through attention, whose fused form has no forward-mode derivative."""
    pipeline, rows = flow_of(denoiser, 0.1, t_min=1e-5), 2000
    batch = gaussian_batch(rows, torch.Generator().manual_seed(0))
    step = Step(pipeline, pipeline, batch, Draws(1, rows), 1.0)
    near = SigmoidPairing(stages=13, k=0.0)  # r/t = 1 - 2^-12
    options = {"p_mean": 0.0, "p_std": 0.5, "power": 0.0, "denoising": 0.0}
    exact = MeanFlow(derivative="forward", **options).loss(step)
    again = Step(pipeline, pipeline, batch, Draws(1, rows), 1.0)
    difference = MeanFlow(curriculum=near, **options).loss(again)
    assert float(exact.total.detach()) == pytest.approx(float(difference.total.detach()), rel=0.01)


def test_the_flow_map_is_what_a_shortcut_asks_for() -> None:
    """Two jumps of the exact map are its jump of twice the length, so that nothing is left to be learned."""
    pipeline, rows = flow_of(Exact(), 0.0, t_min=1e-6), 500
    batch = gaussian_batch(rows, torch.Generator().manual_seed(0))
    objective = Shortcut(steps=16, jumps=1.0, sigma_min=0.05, power=0.0)
    t, m, s, euler = objective.times(Draws(1, rows))
    assert bool(((s < m) & (m < t)).all())
    step = Step(pipeline, pipeline, batch, Draws(1, rows))
    losses = (objective.loss(step.part(which.nonzero().squeeze(1))) for which in (~euler, euler))
    long, short = (loss.total.detach() for loss in losses)
    assert float(long) < 1e-6
    assert float(short) > 1e-3  # Euler's steps are not exact


def test_shortcuts_learn_the_flow_map() -> None:
    """Over one step of the grid by the data, and over all of them at once by themselves."""
    objective = Shortcut(steps=64, jumps=0.5, sigma_min=0.02, p_mean=-0.3, p_std=1.3)
    pipeline = trained(objective, flow_of(Table(), 0.1), rows=256, steps=400)
    levels = objective.levels()
    for i, j in ((16, 64), (16, 32), (24, 32), (32, 64)):
        t, s = levels[i].item(), levels[j].item()
        assert torch.allclose(gain_at(pipeline, t, s), exact_gain(t, s), rtol=0.2, atol=0.04), (t, s)


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_any_number_of_jumps_ends_where_the_ode_does(steps: int) -> None:
    """With the exact flow map, and without new noise between the jumps."""
    pipeline = flow_of(Exact(), 1e-6, t_min=1e-5)
    template = observed(torch.zeros(4, 1, 2))
    sampler = FlowMapSampler()
    found = sample(pipeline, template, Draws(3, 4), times=sampler.times(steps), sampler=sampler).observation.values
    start = 80 * Draws(3, 4).normal(1, 2)
    assert torch.allclose(found, MEAN + STD / (STD**2 + 80.0**2).sqrt() * (start - MEAN), atol=1e-3)


def test_a_run_learns_a_flow_map(tmp_path: Path) -> None:
    """By name, on a modality that knows nothing of it; a model samples by the objective's sampler, once loaded too."""
    model = train_toy(tmp_path, objective="meanflow", objective_options={"curriculum": {"stages": 4}})
    assert model.step == 20
    assert model.pipeline.denoiser.two_times
    assert model.sampler == FlowMapSampler()
    samples = model.sample(3, times=model.times(3))
    again = inrkit.load(tmp_path, device="cpu", modality=type(model.modality))
    assert torch.equal(again.sample(3, times=again.times(3)).signal, samples.signal)


def test_rows_end_where_the_shares_say() -> None:
    """All the way, nowhere, or uniformly between."""
    objective, t = MeanFlow(jumps=0.5, denoising=0.25), torch.rand(8000) + 0.1
    s = objective.ends(t, torch.rand(8000), torch.rand(8000))
    assert float((s == 0).float().mean()) == pytest.approx(0.5, abs=0.03)
    assert float((s == t).float().mean()) == pytest.approx(0.25, abs=0.03)
    assert bool(((s >= 0) & (s <= t)).all())


def test_its_options_are_checked_as_any() -> None:
    """The schema knows a registered objective's fields."""
    with pytest.raises(inrkit.UsageError, match=r"Did you mean 'objective_options\.denoising'"):
        inrkit.resolve("image", overrides=["objective=meanflow", "objective_options.denoisin=0.3"])
    with pytest.raises(inrkit.UsageError, match=r"no objective named 'meanflo'; .* Did you mean 'meanflow'"):
        load_plugins().objective("meanflo")
