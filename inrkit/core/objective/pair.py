"""The heart of consistency training: two looks at the same signal, and the target that the second gives the first."""

from collections.abc import Callable

import torch
from torch import Tensor

from inrkit.core.objective.base import Loss, Step, mean
from inrkit.core.objective.weighting import WEIGHTINGS, Weighting
from inrkit.core.observation import Views, expand
from inrkit.core.pipeline import Prediction

Move = Callable[[Views, Tensor, Tensor, Tensor | None], Views]
"""(noisy views, t, r, label) to the views at r."""


def consistency_pair(step: Step, t: Tensor, r: Tensor, move: Move | None = None) -> tuple[Prediction, Tensor]:
    """The student's prediction at t and the target it should agree with.

    The target is the teacher's f at r under the same noise and the same dropout mask; where r = 0 it is the clean
    signal and needs no teacher pass, so the teacher sees only the other rows. A teacher that is not finite makes the
    target, and the loss, so.

    Args:
        t, r: (B,). Of levels that are still on the host, as ``step.draws.on_host`` gives them, the rows with r > 0 are
            known without waiting for the device.
        move: How what is seen at r comes from what is seen at t: along a diffusion model's ODE (distillation). By
            default with the data as the denoiser, which is the same noise at r.
    """
    batch = step.batch
    index = step.asked(r > 0)
    t, r, index = step.sent(t, r, index)
    noise, query_noise = batch.noise(step.draws)
    noisy, query = batch.support.perturb(noise, t), batch.query.perturb(query_noise, t)
    with step.dropout():
        prediction = step.student(noisy, t, query, batch.label)
    target = batch.query.values
    if len(index):
        part, r_part = batch.rows(index), r[index]
        with torch.no_grad():
            if move is None:
                noisy = part.support.perturb(noise[index], r_part)
                query = part.query.perturb(query_noise[index], r_part)
            else:
                noisy, query = move((noisy.rows(index), query.rows(index)), t[index], r_part, part.label)
            with step.dropout(index):
                output = step.teacher(noisy, r_part, query, part.label).observation.values
        known = target[index]
        output = torch.where(expand(r_part > 0, known), output.to(known.dtype), known)
        target = target.index_copy(0, index, output)
    return prediction, target


def pair_loss(
    step: Step,
    t: Tensor,
    r: Tensor,
    distance: Callable[[Tensor, Tensor], Tensor],
    weight: Weighting,
    move: Move | None = None,
) -> Loss:
    """L_gene: the weighted distance of a pair."""
    prediction, target = consistency_pair(step, t, r, move)
    t, r = step.sent(t, r)
    gene = mean(distance(prediction.observation.values, target), WEIGHTINGS[weight](t, r, prediction.sigma_data))
    return Loss(gene, {"gene": gene}, target, t)
