"""Steps of training and the average of the weights; and toys that train to answers known in closed form."""

import itertools
import math

import pytest
import torch
from gaussian import (
    MEAN,
    STD,
    Linear,
    answer,
    batch_of,
    gain_at,
    gaussian_batch,
    linear_pipeline,
    observed,
    transformer_pipeline,
)
from torch import Tensor, nn

from inrkit import (
    Diffusion,
    DirectReadout,
    DivergedError,
    Draws,
    Ect,
    Inrct,
    LiteralReadout,
    Objective,
    Pipeline,
    PowerEMA,
    Readout,
    Reconstruction,
    SigmoidPairing,
    Step,
    TwoHeadedReadout,
    UsageError,
    sample,
)
from inrkit.core.train import backward_step, check_finite, clip_gradients, gamma_of

# ------------------------------------------------------------------------------------------------- PowerEMA


class OneWeight(nn.Module):
    """A model with a single number."""

    def __init__(self, value: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(value, dtype=torch.float64))

    def set(self, value: float) -> "OneWeight":
        with torch.no_grad():
            self.weight.fill_(value)
        return self


@pytest.mark.parametrize(("width", "gamma"), [(0.10, 6.94), (0.05, 16.97)])
def test_gamma_of_width(width: float, gamma: float) -> None:
    """EDM2: γ = 6.94 for a width of .10 and 16.97 for .05."""
    assert round(gamma_of(width), 2) == gamma


@pytest.mark.parametrize("width", [1e-3, 0.01, 0.05, 0.1, 0.2, 0.28])
def test_width_is_the_relative_standard_deviation(width: float) -> None:
    """Law: the density (γ+1) u^γ on [0, 1] has the standard deviation ``width``."""
    gamma = gamma_of(width)
    mean, square = (gamma + 1) / (gamma + 2), (gamma + 1) / (gamma + 3)
    assert math.sqrt(square - mean**2) == pytest.approx(width, rel=1e-3)


@pytest.mark.parametrize("width", [-0.1, 0.29, 0.5, 1.0])
def test_impossible_width_is_refused(width: float) -> None:
    """No power profile is wider than a flat one, .289."""
    with pytest.raises(UsageError, match="width of a moving average"):
        PowerEMA(OneWeight(), width)


def test_first_update_copies() -> None:
    """Law: after one update the average is the model, whatever it was before."""
    model = OneWeight(3.0)
    ema = PowerEMA(model, 0.1)
    ema.update(model.set(-2.0))
    assert float(ema.tensors["weight"]) == -2


@pytest.mark.parametrize("width", [0.05, 0.1, 0.25])
@pytest.mark.parametrize("updates", [1, 2, 7, 60])
def test_average_has_a_power_profile(updates: int, width: float) -> None:
    """Law: after n updates, update k has the weight (k^(γ+1) - (k-1)^(γ+1)) / n^(γ+1), the share of its stretch."""
    values = torch.randn(updates, dtype=torch.float64).tolist()
    model = OneWeight()
    ema = PowerEMA(model, width)
    for value in values:
        ema.update(model.set(value))
    power = gamma_of(width) + 1
    edges = [(k / updates) ** power for k in range(updates + 1)]
    expected = sum(value * (b - a) for value, (a, b) in zip(values, itertools.pairwise(edges), strict=True))
    assert float(ema.tensors["weight"]) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_average_spans_the_same_share_of_any_run() -> None:
    """Law: of a straight line from 0 to 1 the average is (γ+1) / (γ+2), however long the run."""
    power = gamma_of(0.1) + 1
    for updates in (500, 2000):
        model = OneWeight()
        ema = PowerEMA(model, 0.1)
        for k in range(updates):
            ema.update(model.set((k + 1) / updates))
        assert float(ema.tensors["weight"]) == pytest.approx(power / (power + 1), abs=2e-3)


def test_average_of_what_stands_still() -> None:
    """Law: the average of constant weights is these weights; copying them leaves the model as it was."""
    pipeline = transformer_pipeline()
    before = [p.detach().clone() for p in pipeline.parameters()]
    ema = PowerEMA(pipeline)
    for _ in range(5):
        ema.update(pipeline)
    ema.copy_to(pipeline)
    assert all(torch.allclose(a, b) for a, b in zip(pipeline.parameters(), before, strict=True))


def test_average_is_a_copy() -> None:
    """Law: neither training after an update nor the average's own updates reach into the other."""
    model = OneWeight(1.0)
    ema = PowerEMA(model)
    model.set(5.0)
    assert float(ema.tensors["weight"]) == 1
    ema.copy_to(model)
    assert model.weight.tolist() == 1
    assert model.weight.requires_grad


# ------------------------------------------------------------------------------------------------- one step


def test_gradients_add_up_over_parts() -> None:
    """Law: two halves of a batch, each with its share, leave the gradient of the whole."""
    whole, parts, batch = transformer_pipeline(), transformer_pipeline(), batch_of(torch.randn(10, 1, 8))
    backward_step(Ect(), Step(whole, whole, batch, Draws(0, 10), 0.5))
    for a, b in ((0, 4), (4, 10)):
        rows = batch.rows(slice(a, b))
        backward_step(Ect(), Step(parts, parts, rows, Draws(0, 10, start=a, stop=b), 0.5), share=(b - a) / 10)
    for p, q in zip(whole.parameters(), parts.parameters(), strict=True):
        assert p.grad is not None
        assert q.grad is not None
        assert torch.allclose(p.grad, q.grad, rtol=1e-2, atol=1e-3 * float(p.grad.abs().max()) + 1e-9)


@pytest.mark.parametrize("limit", [0.0, 1.0, 4.9, 100.0])
def test_clipping(limit: float) -> None:
    """Law: the norm is reported as it was and is at most ``limit`` afterwards; the direction stays; 0 clips nothing."""
    weights = [nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(3))]
    weights[0].grad, weights[1].grad = torch.tensor([3.0, 0.0]), torch.tensor([4.0])
    assert float(clip_gradients(weights, limit)) == pytest.approx(5)
    scale = min(1.0, limit / 5) if limit else 1.0
    assert weights[0].grad.tolist() == pytest.approx([3 * scale, 0])
    assert weights[1].grad.tolist() == pytest.approx([4 * scale])


def test_clipping_without_gradients() -> None:
    """Nothing to clip is no error."""
    assert float(clip_gradients([nn.Parameter(torch.zeros(2))], 1.0)) == 0


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_culprit_is_named(bad: float) -> None:
    """A number that is not finite stops training with the tensor's name, the count and what to try."""
    good, spoilt = torch.zeros(3), torch.tensor([0.0, bad, 1.0, bad])
    check_finite({"a": good}, "gradient of", 7)
    with pytest.raises(DivergedError, match=r"step 7: gradient of 'b' has 2 of 4 values that are not finite; try"):
        check_finite({"a": good, "b": spoilt}, "gradient of", 7)


# ------------------------------------------------------------------------------------------------- known answers


def train(objective: Objective, pipeline: Pipeline, steps: int, lr: float = 0.01, rows: int = 512) -> Pipeline:
    """Trains the toy on fresh data; returns it with averaged weights."""
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(pipeline.parameters(), lr=lr, betas=(0.9, 0.99))
    ema = PowerEMA(pipeline, 0.1)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = lr * (1 - step / steps)
        optimizer.zero_grad()
        batch = gaussian_batch(rows, generator)
        backward_step(objective, Step(pipeline, pipeline, batch, Draws(step, rows), step / steps))
        optimizer.step()
        ema.update(pipeline)
    ema.copy_to(pipeline)
    assert isinstance(pipeline.denoiser, Linear)
    pipeline.denoiser.seen.clear()
    return pipeline


def toy(readout: Readout | None = None) -> Pipeline:
    pipeline = linear_pipeline(readout)
    pipeline.denoiser = Linear(2, pipeline.readout.heads, knots=21)
    return pipeline


LEVELS = {"p_mean": -0.3, "p_std": 1.3}
PROBES = [0.05, 0.3, 1.0, 5.0]


def consistent_gain(t: float) -> Tensor:
    """The slope of the consistency function, s / sqrt(s² + t²)."""
    return STD / (STD**2 + t**2).sqrt()


def staged_gain(t: float, pairing: SigmoidPairing) -> Tensor:
    """The slope that training converges to in the pairing's last stage: g(t) = g(r) (s² + t r) / (s² + t²)."""
    gain = torch.ones(2)
    while t > 1e-4:
        r = float(pairing.r(torch.tensor([t]), 1.0))
        gain = gain * (STD**2 + t * r) / (STD**2 + t**2)
        t = r
    return gain


def centre_error(pipeline: Pipeline, t: float) -> float:
    """How far f moves the mean of the data, which it should leave where it is."""
    return float((answer(pipeline, MEAN[None, None], t)[0, 0] - MEAN).abs().max())


@pytest.mark.parametrize("readout", [LiteralReadout(), TwoHeadedReadout(), DirectReadout()], ids=lambda r: r.name)
def test_diffusion_learns_the_posterior_mean(readout: Readout) -> None:
    """On Gaussian data denoising trains to m + s² / (s² + t²) (x_t - m) at every t, with every read-out."""
    pipeline = train(Diffusion(weight="t/(t-r)", **LEVELS), toy(readout), 600, 0.02)
    for t in PROBES:
        best = STD**2 / (STD**2 + t**2)
        assert torch.allclose(gain_at(pipeline, t), best, rtol=0.05, atol=0.01), t
        assert centre_error(pipeline, t) < 0.03


def test_ect_learns_what_its_last_stage_allows() -> None:
    """Consistency training trains to the product of the regressions from t to r to r's r ... down to 0."""
    objective = Ect(distance="squared", curriculum=SigmoidPairing(stages=4), weight="t/(t-r)", **LEVELS)
    pipeline = train(objective, toy(), 1200)
    for t in PROBES:
        assert torch.allclose(gain_at(pipeline, t), staged_gain(t, SigmoidPairing(stages=4)), rtol=0.12), t
        assert centre_error(pipeline, t) < 0.03


@pytest.mark.parametrize("exponent", [3, 5, 8, 12])
def test_stages_close_in_on_the_consistency_function(exponent: int) -> None:
    """The closed form that the test above trains to tends to the consistency function as r tends to t."""
    for t in PROBES:
        gap = staged_gain(t, SigmoidPairing(stages=1, offset=exponent)) / consistent_gain(t) - 1
        assert gap.abs().max() < 3 * 2.0**-exponent


def test_longer_curriculum_is_more_consistent() -> None:
    """From a diffusion model over 3 stages to 6, the slopes come ever closer to the consistency function's."""
    errors = []
    for objective in (
        Diffusion(weight="t/(t-r)", **LEVELS),
        Ect(distance="squared", curriculum=SigmoidPairing(stages=3), weight="t/(t-r)", **LEVELS),
        Ect(curriculum=SigmoidPairing(stages=6), **LEVELS),
    ):
        pipeline = train(objective, toy(), 1200)
        errors.append(max(float((gain_at(pipeline, t) / consistent_gain(t) - 1).abs().max()) for t in PROBES))
    assert errors[0] > 0.8
    assert 0.5 > errors[1] > errors[2]
    assert errors[2] < 0.2


def test_consistency_error_falls() -> None:
    """Training brings f at both ends of a trajectory of the probability flow together."""

    def consistency_error(pipeline: Pipeline) -> float:
        start = torch.randn(400, 1, 2, generator=torch.Generator().manual_seed(1))
        ends = [answer(pipeline, MEAN + start * (STD**2 + t**2).sqrt(), t) for t in (0.1, 3.0)]
        return float((ends[0] - ends[1]).square().mean().sqrt())

    denoiser = train(Diffusion(**LEVELS), toy(), 400)
    trained = train(
        Ect(distance="squared", curriculum=SigmoidPairing(stages=5), weight="t/(t-r)", **LEVELS), toy(), 1200
    )
    assert consistency_error(denoiser) > 2.5 * consistency_error(trained)


def test_inrct_encodes_and_generates() -> None:
    """One INRCT run: the INR of a clean signal shows it, and one-step samples have the data's mean and spread."""
    objective = Inrct(
        distance="squared", curriculum=SigmoidPairing(stages=5), weight_gene="t/(t-r)", clean_share=0.25, **LEVELS
    )
    pipeline = train(objective, toy(), 1500)
    x = gaussian_batch(2000, torch.Generator().manual_seed(5)).support.values
    assert float((pipeline.encode(observed(x)).signal - x).square().mean().sqrt()) < 0.02
    drawn = sample(pipeline, observed(torch.zeros_like(x)), Draws(0, 2000), times=(20.0,)).signal[:, 0]
    assert torch.allclose(drawn.mean(0), MEAN, atol=0.06)
    assert torch.allclose(drawn.std(0), STD, rtol=0.25)
    denoiser = train(Diffusion(weight="t/(t-r)", **LEVELS), toy(), 400)
    means = sample(denoiser, observed(torch.zeros_like(x)), Draws(0, 2000), times=(20.0,)).signal[:, 0]
    assert (means.std(0) < 0.25 * drawn.std(0)).all()


@pytest.mark.parametrize("t_recon", [0.0, 0.007])
def test_reconstruction_learns_to_copy(t_recon: float) -> None:
    """The first phase alone makes the INR of a clean signal show the signal."""
    pipeline = train(Reconstruction(t_recon=t_recon), toy(), 300, 0.05)
    x = gaussian_batch(500, torch.Generator().manual_seed(5)).support.values
    assert float((pipeline.encode(observed(x)).signal - x).square().mean().sqrt()) < 0.02


def test_training_again_is_the_same() -> None:
    """Law: the same seeds give the same weights, bit for bit."""
    first, again = (train(Inrct(), toy(), 20) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
