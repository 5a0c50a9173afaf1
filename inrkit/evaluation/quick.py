"""A quick Fréchet distance: one number for how well a model generates, cheap enough to be asked for again and again.

Of generated signals from training signals, on random features, always from the same noise. It is for comparing a model
with itself; figures that are to be told are those of `inrkit.evaluation.evaluate`, which holds generated signals
against held-out ones.
"""

from collections.abc import Sequence
from typing import final

import attrs
import torch
from torch import Tensor

from inrkit.evaluation.generation import Way, fitted_spaces, real_pictures, sampled_values, small
from inrkit.inference.model import Model
from inrkit.inference.picture import pictures_of
from inrkit.inference.signalset import SignalSet
from inrkit.metrics.feature import extract
from inrkit.metrics.frechet import Gaussian, frechet_distance
from inrkit.progress import Progress, quiet

_FITTED_ON = 512


@final
class QuickFrechet:
    """Some training signals, and features that were fitted on others.

    Args:
        model: Whose data and kind of signal it is; not what is measured.
        count: Signals in each set, at most.
        seed: Of the choice, and of what is generated.
    """

    def __init__(self, model: Model, count: int, seed: int = 0, progress: Progress = quiet) -> None:
        signals = SignalSet.choose(model, "train", count + _FITTED_ON, seed)
        pictures = torch.cat(list(real_pictures(signals, "training signals", progress)))
        self.signals, self.seed = signals[:count], seed
        self.features = next(iter(fitted_spaces(pictures[count:], pictures).values()))
        self.real = self._gaussian(pictures[:count])

    def distance(self, model: Model, times: Sequence[float]) -> float:
        """Of samples made at these noise levels; infinite where they are not finite."""
        parts = []
        for values in sampled_values(attrs.evolve(self.signals, model=model), Way(times), self.seed, "proxy", size=64):
            if not values.isfinite().all():
                return float("inf")
            parts.append(small(pictures_of(model, values)))
        return frechet_distance(self.real, self._gaussian(torch.cat(parts)))

    def _gaussian(self, pictures: Tensor) -> Gaussian:
        return Gaussian.fit(extract(self.features, pictures))
