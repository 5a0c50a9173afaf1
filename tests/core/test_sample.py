"""One step and several, by hand."""

import math

import pytest
import torch
from gaussian import MEAN, STD, Lookup, linear_pipeline, observed, transformer_pipeline
from torch import Tensor, nn

from inrkit import (
    Denoiser,
    DirectReadout,
    Draws,
    Level,
    LiteralReadout,
    Measure,
    Observation,
    Params,
    Pipeline,
    Preconditioning,
    Prediction,
    Readout,
    SampleGrid,
    TwoHeadedReadout,
    UsageError,
    Views,
    sample,
)
from inrkit.core.karras import karras_levels
from inrkit.core.sample import ConsistencySampler, EulerSampler, HeunSampler, Sampler

TEMPLATE = observed(torch.full((3, 1, 4), 99.0))


class Halve(Denoiser):
    """Shows half of what it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.levels: list[Tensor] = []
        self.labels: list[Tensor | None] = []

    def forward(self, observation: Observation, level: Level, label: Tensor | None = None) -> Params:
        self.levels.append(level.noise_level)
        self.labels.append(label)
        return {"values": observation.values.transpose(1, 2) / 2}


def halving(readout: Readout) -> tuple[Pipeline, Halve]:
    denoiser = Halve()
    return Pipeline(denoiser, Measure(Lookup(4, 1), SampleGrid(), Preconditioning(), readout)), denoiser


def f_by_hand(x: Tensor, t: float, width: float = 0.1) -> Tensor:
    """The direct read-out of `Halve`."""
    skip = width**2 / (t**2 + width**2)
    return skip * x + (1 - skip) * x / math.sqrt(t**2 + 0.25) / 2


def test_one_step_by_hand() -> None:
    """x = 80 z, one pass at t = 80; the template's values are not used."""
    pipeline, denoiser = halving(DirectReadout())
    prediction = sample(pipeline, TEMPLATE, Draws(1, 3))
    x = 80 * Draws(1, 3).normal(1, 4)
    assert torch.allclose(prediction.observation.values, f_by_hand(x, 80.0), atol=1e-5)
    assert len(denoiser.levels) == 1
    assert torch.allclose(denoiser.levels[0], torch.full((3,), math.log(80) / 4))


def test_two_steps_by_hand() -> None:
    """Between the steps x = f + sqrt(t² - t_min²) z, with fresh z."""
    prediction = sample(halving(DirectReadout())[0], TEMPLATE, Draws(1, 3), times=(80, 0.821))
    draws = Draws(1, 3)
    x = f_by_hand(80 * draws.normal(1, 4), 80.0)
    x = f_by_hand(x + math.sqrt(0.821**2 - 0.003**2) * draws.normal(1, 4), 0.821)
    assert torch.allclose(prediction.observation.values, x, atol=1e-5)
    assert prediction.t.tolist() == pytest.approx([0.821] * 3)


def test_three_steps_see_three_levels() -> None:
    """One pass per time, noisiest first."""
    pipeline, denoiser = halving(DirectReadout())
    sample(pipeline, TEMPLATE, Draws(1, 3), times=(80, 2, 0.1))
    levels = [float(level[0]) for level in denoiser.levels]
    assert levels == pytest.approx([math.log(t) / 4 for t in (80, 2, 0.1)])


def test_no_noise_below_t_min() -> None:
    """A last time at or below t_min adds none."""
    prediction = sample(halving(DirectReadout())[0], TEMPLATE, Draws(1, 3), times=(80, 0.003))
    x = f_by_hand(f_by_hand(80 * Draws(1, 3).normal(1, 4), 80.0), 0.003)
    assert torch.allclose(prediction.observation.values, x, atol=1e-5)


NAN, INFINITE = float("nan"), float("inf")


@pytest.mark.parametrize(
    "times", [(), (1, 80), (80, 80), (80, 1, 1), (80, 0), (80, -1), (0,), (NAN,), (80, NAN), (NAN, 1), (INFINITE, 1)]
)
def test_impossible_times_are_refused(times: tuple[float, ...]) -> None:
    """Times must be numbers, positive, and strictly descend."""
    with pytest.raises(UsageError, match="'times' must be positive and descend"):
        sample(halving(DirectReadout())[0], TEMPLATE, Draws(1, 3), times=times)


@pytest.mark.parametrize(
    ("readout", "times", "passes"),
    [
        (LiteralReadout(), (80.0,), 1),
        (LiteralReadout(), (80.0, 0.821), 3),
        (DirectReadout(), (80.0, 0.821), 2),
    ],
)
def test_literal_samples_are_encoded_once_more(readout: Readout, times: tuple[float, ...], passes: int) -> None:
    """After several steps f depends on x_t where c_skip(.821) = .27, so its INR alone is not the sample."""
    pipeline, denoiser = halving(readout)
    prediction = sample(pipeline, TEMPLATE, Draws(1, 3), times=times)
    assert len(denoiser.levels) == passes
    if passes == 3:
        assert prediction.t.tolist() == [0, 0, 0]
        assert torch.allclose(denoiser.levels[-1], torch.full((3,), math.log(0.003) / 4))


def test_clamp_keeps_f_in_range() -> None:
    """With ``clamp``, f is kept within [-1, 1] between the steps, but the prediction stays what was predicted."""
    pipeline, _ = halving(DirectReadout())
    clamped = sample(pipeline, TEMPLATE, Draws(19, 3), times=(80, 1.0), clamp=True)
    draws = Draws(19, 3)
    first = f_by_hand(80 * draws.normal(1, 4), 80.0)
    assert first.abs().max() > 1.3
    expected = f_by_hand(first.clamp(-1, 1) + math.sqrt(1 - 0.003**2) * draws.normal(1, 4), 1.0)
    assert torch.allclose(clamped.observation.values, expected, atol=1e-5)


def test_same_seed_same_samples() -> None:
    """Law: samples are a function of the seed."""
    pipeline = transformer_pipeline()
    first, again, other = (
        sample(pipeline, observed(torch.zeros(2, 1, 8)), Draws(seed, 2), times=(80, 1)).signal for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


def test_samples_do_not_depend_on_the_batch_size() -> None:
    """Law: sampling rows in parts gives the same rows."""
    pipeline = transformer_pipeline()
    whole = sample(pipeline, observed(torch.zeros(4, 1, 8)), Draws(1, 4), times=(80, 1)).signal
    parts = [
        sample(pipeline, observed(torch.zeros(b - a, 1, 8)), Draws(1, 4, start=a, stop=b), times=(80, 1)).signal
        for a, b in ((0, 1), (1, 4))
    ]
    assert torch.allclose(torch.cat(parts), whole, atol=1e-5)


def test_label_goes_to_every_step() -> None:
    """The class is told in each pass, the last encoding included."""
    pipeline, denoiser = halving(LiteralReadout())
    sample(pipeline, TEMPLATE, Draws(1, 3), times=(80, 1.0), label=torch.tensor([0, 1, 2]))
    assert [label.tolist() for label in denoiser.labels if label is not None] == [[0, 1, 2]] * 3


@pytest.mark.parametrize("times", [(80.0,), (80.0, 0.821), (80.0, 5.0, 0.3)])
@pytest.mark.parametrize("readout", [LiteralReadout(), TwoHeadedReadout(), DirectReadout()], ids=lambda r: r.name)
def test_exact_consistency_function_samples_the_data(readout: Readout, times: tuple[float, ...]) -> None:
    """With the consistency function of Gaussian data, the samples have its mean and standard deviation."""

    class Exact(nn.Module):
        """f(x_t, t) = m + s / sqrt(s² + t²) (x_t - m), in place of a trained pipeline."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = linear_pipeline(readout)
            self.readout, self.preconditioning = DirectReadout(), self.inner.preconditioning
            self.denoiser = self.inner.denoiser

        def estimate(self, views: Views, t: Tensor, *_: object) -> Views:
            return (self(views[0], t).observation,)

        def forward(self, noisy: Observation, t: Tensor, label: Tensor | None = None, **_: object) -> Prediction:
            gain = STD / (STD**2 + t[:, None, None] ** 2).sqrt()
            prediction = self.inner(noisy, t)
            return type(prediction)(
                prediction.params, t, noisy.with_values(MEAN + gain * (noisy.values - MEAN)), noisy.values, self.inner
            )

    found = sample(Exact(), observed(torch.zeros(8000, 1, 2)), Draws(0, 8000), times=times)  # type: ignore[arg-type]
    values = found.observation.values[:, 0]
    assert torch.allclose(values.mean(0), MEAN, atol=0.03)
    assert torch.allclose(values.std(0), STD, rtol=0.03)


class Posterior(Denoiser):
    """The mean of Gaussian data given x_t, m + s² / (s² + t²) (x_t - m): what a diffusion model learns."""

    def __init__(self) -> None:
        super().__init__()
        self.passes = 0

    def forward(self, observation: Observation, level: Level, label: Tensor | None = None) -> Params:
        self.passes += 1
        t = torch.exp(4 * level.noise_level)[:, None, None]
        x_t = observation.values * (0.25 + t**2).sqrt()
        return {"values": (MEAN + STD**2 / (STD**2 + t**2) * (x_t - MEAN)).transpose(1, 2)}


def diffusion(t_min: float = 1e-4) -> Pipeline:
    """The exact diffusion model of the Gaussian toy; its read-out has hardly any skip."""
    return Pipeline(
        Posterior(), Measure(Lookup(2), SampleGrid(), Preconditioning(t_min=t_min), DirectReadout(width=1e-6))
    )


def exact_path(x: Tensor, t: float, r: float) -> Tensor:
    """Where the ODE leads from x at t: m + sqrt(s² + r²) / sqrt(s² + t²) (x - m)."""
    return MEAN + ((STD**2 + r**2) / (STD**2 + t**2)).sqrt() * (x - MEAN)


def error_of(sampler: Sampler, steps: int, last: float = 0.01) -> float:
    """Largest distance of the samples from the mean given where the ODE leads their noise at the last time."""
    times = karras_levels(steps, last, 80.0).tolist()
    template = observed(torch.zeros(64, 1, 2))
    found = sample(diffusion(), template, Draws(3, 64), times=times, sampler=sampler)
    there = exact_path(80 * Draws(3, 64).normal(1, 2), 80.0, last)
    expected = MEAN + STD**2 / (STD**2 + last**2) * (there - MEAN)
    return float((found.observation.values - expected).abs().max())


def test_heun_samples_the_data_in_eighteen_steps() -> None:
    """35 passes as in EDM and one that encodes: the data's mean and, within its known error of 7 %, deviation."""
    pipeline = diffusion()
    times = karras_levels(18).tolist()
    found = sample(pipeline, observed(torch.zeros(4000, 1, 2)), Draws(0, 4000), times=times, sampler=HeunSampler())
    values = found.observation.values[:, 0]
    assert pipeline.denoiser.passes == HeunSampler().passes(18) == 36
    assert torch.allclose(values.mean(0), MEAN, atol=0.03)
    assert torch.allclose(values.std(0), STD, rtol=0.08)


@pytest.mark.parametrize(("sampler", "order"), [(EulerSampler(), 1), (HeunSampler(), 2)])
def test_samplers_have_their_order(sampler: Sampler, order: int) -> None:
    """Twice the steps bring Euler half, and Heun a quarter of the error."""
    ratio = error_of(sampler, 33, 0.05) / error_of(sampler, 65, 0.05)
    assert 0.75 * 2**order < ratio < 1.4 * 2**order


def test_one_step_is_the_same_for_all() -> None:
    """With a single time nothing lies between: f(80 z, 80) whatever the sampler."""
    found = [
        sample(diffusion(), observed(torch.zeros(4, 1, 2)), Draws(0, 4), sampler=sampler).signal
        for sampler in (ConsistencySampler(), HeunSampler(), EulerSampler())
    ]
    assert all(torch.equal(found[0], other) for other in found)
