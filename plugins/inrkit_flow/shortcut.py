"""Shortcut models (arXiv:2410.12557): a jump along the ODE is what two jumps of half its length are.

The flow map is that of `inrkit_flow.objective`, x_s = (s/t) x_t + (1 - s/t) f(x_t, t, s). Noise levels are a grid of
n steps, σ_0 = σ_max, ..., σ_(n-1) = σ_min, σ_n = 0, spaced as in EDM. A jump spans 2^k of them; with m half way,

    x_s  =  Φ(Φ(x_t, t, m), m, s),      f(x_t, t, s)  =  (x_s - (s/t) x_t) / (1 - s/t).

The shortest jumps are Euler's steps with the denoiser f(x_t, t, t), which the rest of the batch learns from the data.
No derivative is taken and no curriculum is needed: the target is made of the network's own jumps.
"""

import math
from collections.abc import Callable
from typing import final

import attrs
import torch
from torch import Tensor

from inrkit import (
    Draws,
    Loss,
    Objective,
    Observation,
    Prediction,
    Step,
    UsageError,
    bounded,
    expand,
    karras_levels,
    option,
)
from inrkit_flow.objective import POWER_HELP, SHARE, flow_loss

_POSITIVE = bounded("> 0", lambda value: value > 0)


def _power_of_two(objective: "Shortcut", attribute: object, value: int) -> None:
    if value < 2 or value & (value - 1):
        raise UsageError(f"'steps' must be a power of two, at least 2 (got {value})")


@final
@attrs.frozen
class Shortcut(Objective):
    """Trains a flow map by two jumps for one, beside denoising."""

    name = "shortcut"
    sampler = "flow-map"
    needs_until = True
    steps: int = option(128, "shortest steps along the ODE, a power of two", _power_of_two)
    jumps: float = option(0.25, "fraction of the batch that learns jumps; the rest learns to denoise", SHARE)
    sigma_min: float = option(0.002, "lowest noise level", _POSITIVE)
    sigma_max: float = option(80.0, "highest noise level", _POSITIVE)
    rho: float = option(7.0, "exponent ρ of the spacing of noise levels (EDM)", _POSITIVE)
    p_mean: float = option(-1.1, "mean of ln t in denoising; t is drawn from a log-normal distribution")
    p_std: float = option(2.0, "standard deviation of ln t in denoising", _POSITIVE)
    power: float = option(0.5, POWER_HELP, SHARE)
    mu: float = option(
        0.0,
        "decay of the exponential moving average that makes the targets (.999 in the paper); 0: the student's weights",
        bounded("from 0 to less than 1", lambda value: 0 <= value < 1),
    )

    def teacher_decay(self, progress: float) -> float:
        return self.mu

    def loss(self, step: Step) -> Loss:
        draws, batch = step.draws, step.batch
        t, m, s, euler = self.times(draws.on_host)
        index = step.asked(s < t)
        t, m, s, euler, index = step.sent(t, m, s, euler, index)
        noise, query_noise = batch.noise(draws)
        views = batch.support.perturb(noise, t), batch.query.perturb(query_noise, t)
        with step.dropout():
            prediction = step.student(views[0], t, views[1], batch.label, s)
        target = batch.query.values
        if len(index):
            label = None if batch.label is None else batch.label[index]
            part = views[0].rows(index), views[1].rows(index)
            with torch.no_grad(), step.dropout(index):
                asked = _two_jumps(step.teacher, part, label, t[index], m[index], s[index], euler[index])
            known = target[index]
            jumping = expand(s[index] < t[index], known)
            target = target.index_copy(0, index, torch.where(jumping, asked.to(known.dtype), known))
        return flow_loss(prediction.observation.values, target, t, 1 / t, self.power)

    def levels(self) -> Tensor:
        """σ_0, ..., σ_n = 0."""
        levels = karras_levels(self.steps, self.sigma_min, self.sigma_max, self.rho).float()
        return torch.cat([levels, torch.zeros(1)])

    def times(self, draws: Draws) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """t, the level m half way, s, and whether both halves are single steps of the grid; (B,) each.

        The three levels are equal where a row learns to denoise.
        """
        levels = self.levels()
        kind, size, place, noisy = draws.uniform(), draws.uniform(), draws.uniform(), draws.normal()
        half = 2 ** (size * math.log2(self.steps)).long()
        first = 2 * half * (place * (self.steps // (2 * half))).long()
        t = torch.exp(self.p_mean + self.p_std * noisy)
        jumping = kind < self.jumps
        t, m, s = (torch.where(jumping, levels[i], t) for i in (first, first + half, first + 2 * half))
        return t, m, s, jumping & (half == 1)


def _two_jumps(
    teacher: Callable[..., Prediction],
    views: tuple[Observation, Observation],
    label: Tensor | None,
    t: Tensor,
    m: Tensor,
    s: Tensor,
    euler: Tensor,
) -> Tensor:
    """f(x_t, t, s) as the jumps from t to m and from m to s have it, at the query; Euler's steps in some rows."""
    there = teacher(views[0], t, views[1], label, torch.where(euler, t, m))
    support, query = (_jump(x, there.view(x), t, m) for x in views)
    f = teacher(support, m, query, label, torch.where(euler, m, s)).observation
    x_s, share = _jump(query, f, m, s).values, expand(s / t, f.values)
    return (x_s - share * views[1].values) / (1 - share)


def _jump(noisy: Observation, f: Observation, t: Tensor, s: Tensor) -> Observation:
    """x_s = (s/t) x_t + (1 - s/t) f."""
    return noisy.with_values(torch.lerp(f.values, noisy.values.to(f.values.dtype), expand(s / t, f.values)))
