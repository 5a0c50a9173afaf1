"""One number for how well a model generates, cheap enough to be asked for again and again.

The Fréchet distance of generated signals from training signals, on random features, always from the same noise. It is
for comparing a model with itself; figures that are to be told are those of `inrkit.evaluation.evaluate`, which holds
generated signals against held-out ones.
"""

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from inrkit.core.draws import seed_of
from inrkit.core.modality import Source
from inrkit.evaluation import sets
from inrkit.inference.heldout import Trained, batches, choose, compared_of, pictures_of, source_of
from inrkit.metrics.feature import Features, extract
from inrkit.metrics.metric import FeatureStatistics, frechet_distance
from inrkit.progress import Progress, quiet

_FITTED_ON = 512
_BATCH = 64


@final
class Proxy:
    """Some training signals, and features that were fitted on others.

    Args:
        model: Whose data and kind of signal it is; not what is measured.
        count: Signals in each set, at most.
        seed: Of the choice, and of what is generated.
        progress: Shows how far the reading of signals is.
    """

    def __init__(self, model: Trained, count: int, seed: int = 0, progress: Progress = quiet) -> None:
        self.source: Source = source_of(model, "train")
        numbers = choose(len(self.source), count + _FITTED_ON, seed)
        self.numbers, self.seed = numbers[:count], seed
        pictures = sets.real_pictures(model, self.source, numbers, "training signals", progress)
        real, rest = pictures[: len(self.numbers)], pictures[len(self.numbers) :]
        spaces = sets.spaces_of(rest if len(rest) >= 64 else pictures)
        self.features: Features = next(iter(spaces.values()))
        self.real = self._statistics(real)

    @torch.no_grad()
    def distance(self, model: Trained, times: Sequence[float]) -> float:
        """Of samples made at these noise levels; infinite where they are not finite."""
        parts = []
        for part in batches(len(self.numbers), _BATCH):
            where = compared_of(model, self.source, [self.numbers[i] for i in part]).where
            values = model.sample(len(part), seed=seed_of(self.seed, "proxy", part.start), times=times).at(where)
            if not values.isfinite().all():
                return float("inf")
            parts.append(sets.small(pictures_of(model, values)))
        return frechet_distance(self.real, self._statistics(torch.cat(parts)))

    def _statistics(self, pictures: Tensor) -> FeatureStatistics:
        return FeatureStatistics.of(extract(self.features, pictures))
