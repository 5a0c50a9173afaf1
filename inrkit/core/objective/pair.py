"""The heart of consistency training: two looks at the same signal, and the target that the second gives the first."""

from collections.abc import Callable

import torch
from torch import Tensor

from inrkit.core.draws import Draws
from inrkit.core.dropout import shared_dropout
from inrkit.core.objective.ode import Move
from inrkit.core.observation import Batch
from inrkit.core.pipeline import Pipeline, Prediction


def consistency_pair(
    student: Callable[..., Prediction],
    teacher: Pipeline,
    batch: Batch,
    draws: Draws,
    t: Tensor,
    r: Tensor,
    move: Move | None = None,
) -> tuple[Prediction, Tensor]:
    """The student's prediction at t and the target it should agree with.

    The target is the teacher's f at r under the same noise and the same dropout mask; where r = 0 it is the clean
    signal and needs no teacher pass, so the teacher sees only the other rows.

    Args:
        move: How what is seen at r comes from what is seen at t: along a diffusion model's ODE (distillation). By
            default with the data as the denoiser, which is the same noise at r.
    """
    noise, query_noise = batch.noise(draws)
    noisy, query = batch.support.perturb(noise, t), batch.query.perturb(query_noise, t)
    with shared_dropout(draws.seed, draws.total, draws.rows):
        prediction = student(noisy, t, query, batch.label)
    target = batch.query.values
    index = torch.nonzero(r > 0).squeeze(1)
    if len(index):
        part, r_part = batch.rows(index), r[index]
        with torch.no_grad():
            if move is None:
                noisy = part.support.perturb(noise[index], r_part)
                query = part.query.perturb(query_noise[index], r_part)
            else:
                noisy, query = move((noisy.rows(index), query.rows(index)), t[index], r_part, part.label)
            with shared_dropout(draws.seed, draws.total, draws.rows[index]):
                output = teacher(noisy, r_part, query, part.label).observation.values
        target = target.index_copy(0, index, output.nan_to_num().to(target.dtype))
    return prediction, target
