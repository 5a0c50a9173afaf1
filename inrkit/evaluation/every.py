"""All single pictures of held-out signals, such as every view of every object, against those of INRs, part by part.

The protocol of papers on objects: each view is a picture of its own, and what is shown of a signal stands beside the
same of the training signal that looks most like it.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, final

import torch
from torch import Tensor

from inrkit.core.draws import seed_of
from inrkit.evaluation.generation import Way, real_pictures
from inrkit.inference.picture import views_of
from inrkit.inference.signalset import SignalSet
from inrkit.metrics.feature import Features
from inrkit.metrics.frechet import Moments, frechet_distance, needed
from inrkit.metrics.neighbour import nearest
from inrkit.progress import Progress

_SEARCHED = 5000  # training signals, at most, among which the nearest is looked for
_PICTURES = 16  # that a network is asked about at a time


@final
class EveryView:
    """The pictures of held-out signals, as they are and as INRs show them, one after the other.

    Args:
        signals: The held-out ones; their query is all that is known of them.
        networks: Features by name, in which all pictures are compared as sets.
        seed: Of the choice of training signals, and of generated ones.
    """

    def __init__(self, signals: SignalSet, networks: Mapping[str, Features], seed: int, progress: Progress) -> None:
        self.signals, self.networks, self.progress, self._seed = signals, networks, progress, seed
        self._real, self._shown = ({name: Moments() for name in networks} for _ in range(2))

    def add(self, shown: Sequence[Tensor], truth: Sequence[Tensor]) -> None:
        """Further pictures on [-1, 1], some at a time."""
        for moments, pictures in ((self._shown, shown), (self._real, truth)):
            self._count(moments, pictures)

    def _count(self, moments: Mapping[str, Moments], pictures: Sequence[Tensor]) -> None:
        for name, network in self.networks.items():
            for some in pictures:
                with torch.no_grad():
                    moments[name].add(network(some))

    # ------------------------------------------------------------------------------------------ the nearest

    def copied(self, start: int, part: SignalSet) -> Tensor:
        """What the model shows, where the signals from number ``start`` on are queried, of the training signals that
        look most like what it reads of them."""
        numbers = self._nearest[start : start + len(part)]
        where = part.observe().query.where
        training = self._training
        signals = SignalSet(training.model, training.source, [training.numbers[i] for i in numbers])
        return signals.encode().prediction.at(where)

    @cached_property
    def _training(self) -> SignalSet:
        return SignalSet.choose(self.signals.model, "train", _SEARCHED, self._seed)

    @cached_property
    def _nearest(self) -> list[int]:
        queries = torch.cat(list(real_pictures(self.signals)))
        found = nearest(queries, real_pictures(self._training, "nearest training signals", self.progress))
        return list(found.indices.tolist())

    # ------------------------------------------------------------------------------------------ sets

    @torch.no_grad()
    def figures(self, ways: Sequence[Way]) -> dict[str, Any]:
        """Fréchet distances to all pictures of held-out signals: of those of their INRs, and of as many generated
        signals, rendered where the held-out ones are known, in each of these ways. Nothing where
        there are too few pictures for the features."""
        enough = {name: real for name, real in self._real.items() if real.count >= needed(real.mean.numel())}
        if not enough:
            return {}
        kinds = {"held_out": self._shown, **{way.name: self._generated(way) for way in ways}}
        spaces = {
            name: {kind: frechet_distance(found[name].gaussian, real.gaussian) for kind, found in kinds.items()}
            for name, real in enough.items()
        }
        return {"every": {"count": next(iter(enough.values())).count, "spaces": spaces}}

    def _generated(self, way: Way) -> dict[str, Moments]:
        model, moments = self.signals.model, {name: Moments() for name in self.networks}
        for start, one in self.signals.parts(1):
            drawn = model.sample(1, seed_of(self._seed, "every", start), way.times, guidance=way.guidance)
            shown = views_of(model, drawn.at(one.observe().query.where).clamp(-1, 1)) * 2 - 1
            self._count(moments, shown.split(_PICTURES))
            self.progress(start + 1, len(self.signals), f"sampling, {way.name}")
        return moments
