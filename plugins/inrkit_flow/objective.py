"""MeanFlow (arXiv:2505.13447) by prediction of the signal (arXiv:2512.02012).

A flow map leads from x_t along the ODE to any cleaner level s; written with a prediction f(x_t, t, s) of the signal,

    x_s = (s/t) x_t + (1 - s/t) f(x_t, t, s),

it is exact at s = t whatever f is. u = (x_t - f) / t is MeanFlow's average velocity. f(x, t, t) denoises, and
f(x, t, 0) is a consistency function.

Going to s by way of r, s <= r < t, must lead to the same place. With the data as the denoiser from t to r that gives

    f(x_t, t, s)  =  w x + (1 - w) f(x_r, r, s),      w = s (1/r - 1/t) / (1 - s/t),

whose limit r -> t is MeanFlow's identity u = v - (t - s) du/dt, with v = z the noise, or

    f(x_t, t, s)  =  (s/t) x + (1 - s/t) f(x_t, t, s) - (t - s) df/dt.

The first form takes the derivative along the path by a difference, which any renderer allows, and with s = 0 it is
consistency training as in ECT. The second takes it exactly, by a forward-mode derivative of the network and the render.
"""

import warnings
from typing import Literal, final

import attrs
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn.attention import SDPBackend, sdpa_kernel

from inrkit import LogNormal, Loss, Objective, SigmoidPairing, Step, UsageError, between, bounded, expand, option

SHARE = between(0, 1)
POWER_HELP = "exponent p of the adaptive loss weight (MeanFlow); 0: squared distance"


def flow_loss(f: Tensor, target: Tensor, t: Tensor, velocity: Tensor, power: float) -> Loss:
    """||Δu||² / (||Δu||² + ε)^p with a constant denominator, Δu being ``velocity`` times the difference of f."""
    gap = (f - target).float().flatten(1).square().sum(1) * velocity**2 + 1e-12
    flow = (gap / gap.detach() ** power).mean()
    return Loss(flow, {"flow": flow}, target, t)


@final
@attrs.frozen
class MeanFlow(Objective):
    """Trains a flow map without a teacher of its own.

    By differences, r comes closer to t as in ECT; with ``power`` = .5 and s = 0 the gradient is then ECT's.
    """

    name = "meanflow"
    sampler = "flow-map"
    needs_until = True
    p_mean: float = option(-1.1, "mean of ln t; t is drawn from a log-normal distribution")
    p_std: float = option(2.0, "standard deviation of ln t", bounded("> 0", lambda value: value > 0))
    jumps: float = option(0.5, "fraction of the batch with s = 0 (consistency training)", SHARE)
    denoising: float = option(0.25, "fraction of the batch with s = t (denoising)", SHARE)
    power: float = option(0.5, POWER_HELP, SHARE)
    derivative: Literal["difference", "forward"] = option(
        "difference",
        "derivative along the path: by the difference between t and r, which a curriculum brings together, as any "
        "network and any renderer allows; or exactly, by forward-mode differentiation, without a curriculum",
    )
    curriculum: SigmoidPairing = option(SigmoidPairing(), "curriculum of r/t, as in ECT, for differences")

    def stage(self, progress: float) -> int:
        return self.curriculum.stage(progress) if self.derivative == "difference" else 0

    def loss(self, step: Step) -> Loss:
        draws, batch = step.draws, step.batch
        early = draws.on_host
        t = LogNormal(self.p_mean, self.p_std).sample(early)
        s = self.ends(t, early.uniform(), early.uniform())
        r = self.curriculum.r(t, step.progress) if self.derivative == "difference" else t
        # Where x_s itself is known: r is not above s. By forward mode, where there is nothing to differentiate.
        clean = (r <= s) | (r == 0)
        index = step.asked(~clean)
        t, s, r, clean, index = step.sent(t, s, r, clean, index)
        noise = batch.noise(draws)
        support, query = batch.support.perturb(noise[0], t), batch.query.perturb(noise[1], t)
        with step.dropout():
            prediction = step.student(support, t, query, batch.label, s)
        target = batch.query.values
        if len(index):
            part = (index, t[index], s[index], noise[0][index], noise[1][index])
            with torch.no_grad(), step.dropout(index):
                asked = (
                    _by_difference(step, r[index], *part) if self.derivative == "difference" else _exact(step, *part)
                )
            known = target[index]
            target = target.index_copy(0, index, torch.where(expand(clean[index], known), known, asked.to(known.dtype)))
        velocity = 1 / t  # from a difference of f to one of u
        if self.derivative == "difference":
            velocity = torch.where(clean, velocity, velocity * (t - s) / (t - r))
        return flow_loss(prediction.observation.values, target, t, velocity, self.power)

    def ends(self, t: Tensor, kind: Tensor, share: Tensor) -> Tensor:
        """s of each row: 0, t, or uniform between them, as uniform numbers ``kind`` and ``share`` decide."""
        s = torch.where(kind >= 1 - self.denoising, t, share * t)
        return s.masked_fill(kind < self.jumps, 0)


def _by_difference(
    step: Step, r: Tensor, index: Tensor, t: Tensor, s: Tensor, noise: Tensor, query_noise: Tensor
) -> Tensor:
    """w x + (1 - w) f(x_r, r, s) of some rows."""
    part = step.batch.rows(index)
    support, query = part.support.perturb(noise, r), part.query.perturb(query_noise, r)
    f = step.teacher(support, r, query, part.label, s).observation.values
    return torch.lerp(f, part.query.values.to(f.dtype), expand(s * (1 / r - 1 / t) / (1 - s / t), f))


def _exact(step: Step, index: Tensor, t: Tensor, s: Tensor, noise: Tensor, query_noise: Tensor) -> Tensor:
    """(s/t) x + (1 - s/t) f - (t - s) df/dt of some rows, the derivative along the path through x and z."""
    part = step.batch.rows(index)

    support, query = part.support.perturb(noise, t), part.query.perturb(query_noise, t)
    try:  # fused attention has no forward-mode derivative; torch warns of its own use of a deprecated function
        with warnings.catch_warnings(), sdpa_kernel(SDPBackend.MATH), forward_ad.dual_level():
            warnings.filterwarnings("ignore", "`torch.jit.script`", DeprecationWarning)
            views = (
                support.with_values(forward_ad.make_dual(support.values, noise)),
                query.with_values(forward_ad.make_dual(query.values, query_noise)),
            )
            level = forward_ad.make_dual(t, torch.ones_like(t))
            found = step.teacher(views[0], level, views[1], part.label, s).observation.values
            f, slope = forward_ad.unpack_dual(found)
    except NotImplementedError as error:
        raise UsageError(
            'a part of this network or renderer has no forward-mode derivative; take derivative = "difference" '
            f"({' '.join(str(error).split())[:120]})"
        ) from error
    assert slope is not None
    target: Tensor = torch.lerp(f, part.query.values.to(f.dtype), expand(s / t, f)) - expand(t - s, f) * slope
    return target
