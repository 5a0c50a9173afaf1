"""MeanFlow (arXiv:2505.13447) by prediction of the signal (arXiv:2512.02012).

A flow map leads from x_t along the ODE to any cleaner level s; written with a prediction f(x_t, t, s) of the signal,

    x_s = (s/t) x_t + (1 - s/t) f(x_t, t, s),

it is exact at s = t whatever f is. (x_t - f) / t is MeanFlow's average velocity. f(x, t, t) denoises, and f(x, t, 0) is
a consistency function.

Going to s by way of r, s <= r < t, must lead to the same place. With the data as the denoiser from t to r that gives

    f(x_t, t, s)  =  w x + (1 - w) f(x_r, r, s),      w = s (1/r - 1/t) / (1 - s/t),

whose limit r -> t is MeanFlow's identity: its derivative along the path is taken by this difference, which any renderer
allows. With s = 0 it is consistency training as in ECT.
"""

from typing import final

import attrs
import torch
from torch import Tensor

from inrkit import LogNormal, Loss, Objective, SigmoidPairing, Step, bounded, expand, option

_SHARE = bounded("from 0 to 1", lambda value: 0 <= value <= 1)


@final
@attrs.frozen
class MeanFlow(Objective):
    """Trains a flow map without a teacher of its own; r comes closer to t as in ECT.

    The loss of a row is that of MeanFlow, ||Δu||² / (||Δu||² + ε)^p with a constant denominator and the difference Δu
    of average velocities; with p = .5 and s = 0 it has ECT's gradient.
    """

    name = "meanflow"
    sampler = "flow-map"
    needs_until = True
    p_mean: float = option(-1.1, "mean of ln t; t is drawn from a log-normal distribution")
    p_std: float = option(2.0, "standard deviation of ln t", bounded("> 0", lambda value: value > 0))
    jumps: float = option(0.5, "fraction of the batch with s = 0 (consistency training)", _SHARE)
    denoising: float = option(0.25, "fraction of the batch with s = t (denoising)", _SHARE)
    power: float = option(0.5, "exponent p of the adaptive loss weight (MeanFlow); 0: squared distance", _SHARE)
    curriculum: SigmoidPairing = option(SigmoidPairing(), "curriculum of r/t, as in ECT")

    def stage(self, progress: float) -> int:
        return self.curriculum.stage(progress)

    def loss(self, step: Step) -> Loss:
        draws, batch = step.draws, step.batch
        early = draws.on_host
        t = LogNormal(self.p_mean, self.p_std).sample(early)
        s = self.ends(t, early.uniform(), early.uniform())
        r = self.curriculum.r(t, step.progress)
        clean = (r <= s) | (r == 0)  # r = s: x_s itself is known
        index = step.asked(~clean)
        t, s, r, clean, index = step.sent(t, s, r, clean, index)
        noise, query_noise = batch.noise(draws)
        with step.dropout():
            prediction = step.student(
                batch.support.perturb(noise, t), t, batch.query.perturb(query_noise, t), batch.label, s
            )
        target = batch.query.values
        if len(index):
            part, at, r_part, s_part = batch.rows(index), t[index], r[index], s[index]
            with torch.no_grad(), step.dropout(index):
                support = part.support.perturb(noise[index], r_part)
                query = part.query.perturb(query_noise[index], r_part)
                f = step.teacher(support, r_part, query, part.label, s_part).observation.values.to(target.dtype)
            weight = s_part * (1 / r_part - 1 / at) / (1 - s_part / at)
            known = target[index]
            mixed = torch.lerp(f, part.query.values, expand(weight, f))
            target = target.index_copy(0, index, torch.where(expand(clean[index], f), known, mixed))
        velocity = torch.where(clean, 1 / t, (t - s) / (t * (t - r)))  # from a difference of f to one of u
        gap = (prediction.observation.values - target).float().flatten(1).square().sum(1) * velocity**2 + 1e-12
        flow = (gap / gap.detach() ** self.power).mean()
        return Loss(flow, {"flow": flow}, target, t)

    def ends(self, t: Tensor, kind: Tensor, share: Tensor) -> Tensor:
        """s of each row: 0, t, or uniform between them, as uniform numbers ``kind`` and ``share`` decide."""
        s = torch.where(kind >= 1 - self.denoising, t, share * t)
        return s.masked_fill(kind < self.jumps, 0)
