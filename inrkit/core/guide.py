"""Classes: forgetting some of them in training, and leaning towards one of them in sampling.

A network that was trained without the class of some signals also knows f(x_t, t) without a class, and can be guided:

    f_w(x_t, t, c) = f(x_t, t, c) + (w - 1) (f(x_t, t, c) - f(x_t, t, none))

w = 1 is the network itself, w = 0 forgets the class, w > 1 leans away from what the class does not explain.
"""

import math
from typing import final

import attrs
import torch
from torch import Tensor

from inrkit.core.draws import Draws
from inrkit.core.observation import Batch, Observation
from inrkit.core.pipeline import Pipeline, Prediction
from inrkit.errors import UsageError

NO_CLASS = -1
"""The label of a signal whose class is not known, or is not to be told."""


def drop_labels(batch: Batch, draws: Draws, share: float) -> Batch:
    """The batch with a ``share`` of its labels replaced by "no class". Law: depends on the global row alone."""
    if share == 0:
        return batch
    if batch.label is None:
        raise UsageError(
            "'label_dropout' needs labels, and the signals of this run have none; set it to 0, or give the modality "
            "classes and data with labels"
        )
    dropped = draws.uniform().to(batch.label.device) < share
    return attrs.evolve(batch, label=batch.label.masked_fill(dropped, NO_CLASS))


@final
@attrs.frozen(eq=False)
class Guided:
    """f of a pipeline for one label of each row, led by ``weight`` away from f without a class."""

    pipeline: Pipeline
    label: Tensor | None = None
    weight: float = 1.0

    def __attrs_post_init__(self) -> None:
        if not math.isfinite(self.weight) or self.weight < 0:
            raise UsageError(f"'guidance' must be a number from 0, 1 for none (got {self.weight})")
        if self.weight != 1 and self.label is None:
            raise UsageError("'guidance' leads towards a class; say which with 'label'")

    def __call__(self, noisy: Observation, t: Tensor) -> Prediction:
        """The prediction, in whose observation lies f_w; its INR is that of the label alone."""
        found = self.pipeline(noisy, t, label=self.label)
        if self.weight == 1 or self.label is None:
            return found
        free = self.pipeline(noisy, t, label=torch.full_like(self.label, NO_CLASS))
        values = torch.lerp(free.observation.values, found.observation.values, self.weight)
        return attrs.evolve(found, observation=found.observation.with_values(values))
