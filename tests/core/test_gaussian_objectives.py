"""Objectives on a grid of levels train a linear model to answers that are known in closed form.

With f = m + g(t) (x_t - m), boundary g(σ_min) = 1, and squared distance, what is learned follows from level to level:

    consistency training     g(t) = g(r) (s² + t r) / (s² + t²)       regression of the same noise at r on x_t
    distillation             g(t) = g(r) h(t, r)                      h: one step of the solver along the exact ODE

Both tend to the consistency function, g(t) = sqrt((s² + σ_min²) / (s² + t²)), as the levels close in.
"""

import copy
import itertools

import pytest
import torch
from gaussian import MEAN, STD, Linear, gain_at, gaussian_batch, linear_pipeline, observed
from torch import Tensor

from inrkit import (
    Batch,
    Cd,
    CmFunc,
    Ct,
    Diffusion,
    DirectReadout,
    Draws,
    Ect,
    Ict,
    Objective,
    Observation,
    Pipeline,
    PowerEMA,
    Prediction,
    SigmoidPairing,
    Step,
    Views,
)
from inrkit.core.guide import Estimate, Guided
from inrkit.core.objective.discrete import OnGrid
from inrkit.core.ode import SOLVERS, euler, heun
from inrkit.core.train import backward_step

GRID = {"sigma_min": 0.05, "sigma_max": 5.0}
SHIFT = torch.tensor([0.3, 0.2])


def toy(boundary: float = GRID["sigma_min"]) -> Pipeline:
    """A linear model with f(x, boundary) = x."""
    pipeline = linear_pipeline(DirectReadout(offset=boundary))
    pipeline.denoiser = Linear(2, knots=31)
    return pipeline


def train(
    objective: Objective, pipeline: Pipeline, steps: int = 400, lr: float = 0.04, diffusion: Estimate | None = None
) -> Pipeline:
    """Trains on fresh data, with a teacher that follows as the objective says; returns averaged weights."""
    generator, rows = torch.Generator().manual_seed(0), 256
    optimizer = torch.optim.Adam(pipeline.parameters(), lr=lr, betas=(0.9, 0.99))
    teacher, ema = copy.deepcopy(pipeline), PowerEMA(pipeline, 0.1)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = lr * (1 - step / steps)
        optimizer.zero_grad()
        batch = gaussian_batch(rows, generator)
        batch = type(batch)(batch.support, batch.support, torch.zeros(rows, dtype=torch.long))
        progress = step / steps
        backward_step(objective, Step(pipeline, teacher, batch, Draws(step, rows), progress, diffusion=diffusion))
        optimizer.step()
        ema.update(pipeline)
        with torch.no_grad():
            for kept, weight in zip(teacher.parameters(), pipeline.parameters(), strict=True):
                kept.lerp_(weight, 1 - objective.teacher_decay(progress))
    ema.copy_to(pipeline)
    assert isinstance(pipeline.denoiser, Linear)
    pipeline.denoiser.seen.clear()
    return pipeline


def trained_on_grid(levels: Tensor) -> list[Tensor]:
    """The slope at each level that consistency training converges to, noisiest first."""
    gains = [torch.ones(2)]
    for r, t in itertools.pairwise(levels.flip(0).tolist()):
        gains.append(gains[-1] * (STD**2 + t * r) / (STD**2 + t**2))
    return gains[::-1]


def consistent(t: float) -> Tensor:
    return ((STD**2 + GRID["sigma_min"] ** 2) / (STD**2 + t**2)).sqrt()


def check_gains(pipeline: Pipeline, levels: Tensor, gains: list[Tensor], rtol: float) -> None:
    for t, gain in zip(levels.tolist(), gains, strict=True):
        assert torch.allclose(gain_at(pipeline, t), gain, rtol=rtol, atol=0.01), (t, gain_at(pipeline, t), gain)


def exact(views: Views, t: Tensor, label: Tensor | None = None, until: Tensor | None = None) -> Views:
    """The best denoiser of the toy; with a label -1 it believes in another mean."""
    level = t[:, None, None]
    mean = MEAN.expand(len(t), 1, 2)
    if label is not None:
        mean = mean + SHIFT * (label == -1)[:, None, None]
    return tuple(x.with_values(mean + STD**2 / (STD**2 + level**2) * (x.values - mean)) for x in views)


# ------------------------------------------------------------------------------------------------- training


@pytest.mark.parametrize(
    "objective",
    [
        Ct(s0=9, s1=9, **GRID),
        CmFunc(s0=9, s1=9, mu0=0.0, weight="snr+1", **GRID),
        Ict(s0=9, s1=9, distance="squared", p_mean=-0.3, p_std=1.3, **GRID),
    ],
    ids=lambda objective: f"{objective.name}-{objective.weight}",
)
def test_training_on_a_grid_learns_its_closed_form(objective: OnGrid) -> None:
    """With and without an average for a teacher, however the pairs are drawn and weighed."""
    pipeline = train(objective, toy())
    levels = objective.levels(1.0)
    check_gains(pipeline, levels, trained_on_grid(levels), 0.1)


def test_a_finer_grid_is_more_consistent() -> None:
    """The closed form itself tends to the consistency function: errors halve as levels double."""
    errors = []
    for count in (10, 20, 40, 80):
        levels = Ct(s0=count - 1, s1=count - 1, **GRID).levels(0.0)
        errors.append(
            max(
                float((g / consistent(t) - 1).abs().max()) for t, g in zip(levels, trained_on_grid(levels), strict=True)
            )
        )
    assert all(0.4 < b / a < 0.65 for a, b in itertools.pairwise(errors))


@pytest.mark.parametrize(
    "objective",
    [Ct(s0=2, s1=30, **GRID), Ict(s0=4, s1=32, p_mean=-0.3, p_std=1.3, **GRID)],
    ids=lambda objective: objective.name,
)
def test_schedules_reach_the_consistency_function(objective: OnGrid) -> None:
    """As published, with levels that close in, and iCT's own distance and weight."""
    pipeline = train(objective, toy(), 1000)
    for t in (0.3, 1.0, 5.0):
        assert torch.allclose(gain_at(pipeline, t), consistent(t), rtol=0.25, atol=0.02), t


def test_ect_continues_from_a_diffusion_model() -> None:
    """``curriculum.offset`` = 1: from the posterior mean, of slope s²/(s² + t²), to the consistency function."""
    levels = {"p_mean": -0.3, "p_std": 1.3}
    pipeline = train(Diffusion(weight="t/(t-r)", **levels), toy(0.0))
    assert torch.allclose(gain_at(pipeline, 1.0), STD**2 / (STD**2 + 1), rtol=0.1)
    train(Ect(curriculum=SigmoidPairing(offset=1, stages=4), distance="squared", weight="t/(t-r)", **levels), pipeline)
    for t in (0.3, 1.0, 5.0):
        assert torch.allclose(gain_at(pipeline, t), STD / (STD**2 + t**2).sqrt(), rtol=0.25, atol=0.02), t


# ------------------------------------------------------------------------------------------------- distillation


def slope_of_path(t: float) -> Tensor:
    """a(t) in dy/dt = a y for y = x - m along the exact ODE."""
    return t / (STD**2 + t**2)


def step_gain(t: float, r: float, solver: str) -> Tensor:
    """What one step of the solver multiplies y with."""
    first = slope_of_path(t)
    if solver == "euler":
        return 1 + (r - t) * first
    return 1 + (r - t) / 2 * (first + slope_of_path(r) * (1 + (r - t) * first))


def one_step(solver: str, t: float, r: float) -> Tensor:
    """What the solver makes of two points with the exact denoiser, as a slope."""
    x = observed(torch.stack([MEAN, MEAN + 1])[:, None])
    support, query = SOLVERS[solver](Guided(exact), (x, x), torch.full((2,), t), torch.full((2,), r))
    assert torch.equal(support.values, query.values)
    assert torch.allclose(support.values[0, 0], MEAN)
    return (support.values[1] - support.values[0])[0]


@pytest.mark.parametrize("solver", ["heun", "euler"])
@pytest.mark.parametrize(("t", "r"), [(5.0, 3.0), (1.0, 0.3), (0.1, 0.05)])
def test_a_step_of_the_solver(solver: str, t: float, r: float) -> None:
    """Heun's and Euler's formulas on a linear ODE."""
    assert torch.allclose(one_step(solver, t, r), step_gain(t, r, solver), atol=1e-5)


def test_heun_is_of_second_order() -> None:
    """Law: halving a step divides the error that it makes by 2³ for Heun and by 2² for Euler."""
    for solver, ratio in (("heun", 8), ("euler", 4)):
        errors = []
        for length in (0.2, 0.1):
            truth = ((STD**2 + (1 - length) ** 2) / (STD**2 + 1)).sqrt()
            errors.append(float((step_gain(1.0, 1 - length, solver) - truth).abs().max()))
        assert errors[0] / errors[1] == pytest.approx(ratio, rel=0.2)


@pytest.mark.parametrize(("solver", "skip"), [("heun", 3), ("euler", 1)])
def test_distillation_learns_the_path_of_the_solver(solver: str, skip: int) -> None:
    """From a level to the one that ``skip`` lie between, down to σ_min."""
    objective = Cd(n=10, skip=skip, solver=solver, mu=0.5, **GRID)
    pipeline = train(objective, toy(), diffusion=exact)
    levels = objective.levels(1.0)
    gain, chain = torch.ones(2), levels.flip(0)[::skip].tolist()  # each is a whole number of skips away from σ_min
    for r, t in itertools.pairwise(chain):
        gain = gain * step_gain(t, r, solver)
        assert torch.allclose(gain_at(pipeline, t), gain, rtol=0.08, atol=0.01), t


def test_distillation_is_more_consistent_than_training() -> None:
    """At equal levels: the solver's error is of second order, that of training is of first."""
    levels = Cd(n=12, **GRID).levels(1.0)
    trained = trained_on_grid(levels)
    gain, worst = torch.ones(2), 0.0
    for r, t in itertools.pairwise(levels.flip(0).tolist()):
        gain = gain * step_gain(t, r, "heun")
        worst = max(worst, float((gain / consistent(t) - 1).abs().max()))
    assert worst < 0.25 * max(float((g / consistent(t) - 1).abs().max()) for t, g in zip(levels, trained, strict=True))


def test_a_trained_diffusion_model_is_distilled() -> None:
    """From data to a diffusion model to a consistency function, in seconds."""
    teacher = train(Diffusion(weight="t/(t-r)", p_mean=-0.3, p_std=1.3), toy(0.0), 700)
    student = toy()
    student.load_state_dict(teacher.state_dict())
    train(Cd(n=24, **GRID), student, diffusion=teacher.estimate)
    for t in (0.3, 1.0, 5.0):
        assert torch.allclose(gain_at(student, t), consistent(t), rtol=0.15, atol=0.02), t


@pytest.mark.parametrize("weight", [0.0, 1.0, 3.0])
def test_guided_denoiser(weight: float) -> None:
    """D(x, none) + w (D(x, label) - D(x, none)): w = 1 is the model itself, w = 0 forgets the label."""
    x = observed(torch.randn(4, 1, 2))
    t, label = torch.full((4,), 1.0), torch.zeros(4, dtype=torch.long)
    (found,) = Guided(exact, label, weight)((x,), t)
    (free,) = exact((x,), t, torch.full_like(label, -1))
    (named,) = exact((x,), t, label)
    assert torch.allclose(found.values, free.values + weight * (named.values - free.values), atol=1e-6)


def test_each_signal_is_told_the_scale_that_its_path_has() -> None:
    """Law: student and teacher are told the same w of each row, drawn from the range, by which the ODE is guided."""
    objective, pipeline = Cd(n=10, guidance_range=(1.0, 4.0), solver="euler", **GRID), toy()
    seen: list[tuple[Observation, Tensor, Tensor]] = []

    def asked(noisy: Observation, t: Tensor, query: Observation, label: Tensor, guidance: Tensor) -> Prediction:
        seen.append((noisy, t, guidance))
        return pipeline(noisy, t, query)

    x, label = observed(torch.randn(16, 1, 2)), torch.zeros(16, dtype=torch.int64)
    objective.loss(Step(asked, asked, Batch(x, x, label), Draws(5, 16), diffusion=exact))
    (student, t, w), (teacher, r, told) = seen
    assert torch.equal(w, told)
    assert 1 <= w.min() < w.max() - 1 <= 3
    torch.testing.assert_close(teacher.values, euler(Guided(exact, label, w), (student,), t, r)[0].values)


def test_guided_distillation_moves_away_from_no_class() -> None:
    """The augmented ODE's solution in one step: its mean lies where w times the difference of the means leads."""
    objective = Cd(n=10, guidance=3.0, **GRID)
    pipeline = train(objective, toy(), diffusion=exact)
    levels = objective.levels(1.0)
    x = observed(torch.zeros(1, 1, 2) + MEAN)
    label = torch.zeros(1, dtype=torch.long)
    views: Views = (x,)
    for t, r in itertools.pairwise(levels.tolist()):
        views = heun(Guided(exact, label, 3.0), views, t, r)
    expected = views[0].values[0, 0]
    with torch.no_grad():
        found = pipeline(x, torch.tensor([float(levels[0])])).observation.values[0, 0]
    assert ((expected - MEAN) / SHIFT < -0.5).all()  # away from the other mean
    assert torch.allclose(found, expected, atol=0.08)
