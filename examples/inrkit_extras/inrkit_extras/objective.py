"""An objective: INRs of nearly clean signals show the signals, and outliers count less."""

from typing import final

import attrs
import torch
from torch.nn import functional as F

import inrkit


@final
@attrs.frozen
class Huber(inrkit.Objective):
    """Reconstruction by the Huber distance: squared up to ``delta``, absolute beyond."""

    name = "huber"
    delta: float = inrkit.option(0.5, "error from which on it counts linearly", inrkit.at_least(1e-6))
    t: float = inrkit.option(0.01, "noise level of the signals that are reconstructed", inrkit.at_least(0.0))

    def loss(self, step: inrkit.Step) -> inrkit.Loss:
        batch = step.batch
        t = torch.full((len(batch),), self.t, device=batch.support.values.device)
        noise, query_noise = batch.noise(step.draws)
        noisy, query = batch.support.perturb(noise, t), batch.query.perturb(query_noise, t)
        with step.dropout():
            prediction = step.student(noisy, t, query, batch.label)
        per_row = F.huber_loss(prediction.signal, batch.query.values, reduction="none", delta=self.delta)
        loss = per_row.flatten(1).mean(1).mean()
        return inrkit.Loss(loss, {"huber": loss})
