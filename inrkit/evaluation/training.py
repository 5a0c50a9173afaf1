"""Generated signals against training signals, as papers count Fréchet distances: any number, in bounded memory.

Features are summed up as signals come; of the signals only those are kept that are held against held-out ones.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import attrs
import torch
from torch import Tensor

from inrkit.evaluation.generation import FEW, TRAINING, Reference, Way, real_pictures, sampled_parts
from inrkit.inference.signalset import SignalSet
from inrkit.metrics.feature import Features, extract
from inrkit.metrics.frechet import Gaussian, Moments, frechet_distance, frechet_error, moments_of, needed

_Sums = dict[str, list[Moments]]


def training_figures(
    reference: Reference, ways: Sequence[Way], n: int, seed: int
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The first samples of each kind, as many as there are held-out signals; and the Fréchet distance of ``n`` of each
    from training signals, as JSON, in spaces with fewer features than signals.

    Held-out signals stand beside them where there are as many.
    """
    signals, spaces, progress = reference.signals, reference.spaces, reference.progress
    wanted = min(TRAINING, max(n, FEW))  # reading them all takes longer than the few samples of a quick look
    training = SignalSet.choose(signals.model, "train", wanted, reference.seed)
    of_training = _summed(real_pictures(training, "training signals", progress), spaces)
    many = attrs.evolve(signals, numbers=[signals.numbers[i % len(signals)] for i in range(n)])
    shown: dict[str, Tensor] = {}
    sums: dict[str, _Sums] = {}
    for way in ways:
        first: list[Tensor] = []
        parts = sampled_parts(many, way, seed, progress)
        sums[way.name] = _summed(_kept(parts, first, len(signals)), spaces)
        shown[way.name] = torch.cat(first)
    if len(signals) == n:
        sums["held_out"] = _summed([reference.real], spaces)
    found: dict[str, Any] = {}
    for space, groups in of_training.items():
        if min(n, len(training)) >= needed(len(groups[0].mean)):
            real = Moments.joined(groups).gaussian
            found[space] = {name: _figures(of[space], real) for name, of in sums.items()}
    return shown, {"signals": len(training), "samples": n, "spaces": found}


def _figures(groups: Sequence[Moments], real: Gaussian) -> dict[str, float]:
    whole = Moments.joined(groups)
    error = {"frechet_error": frechet_error(groups, real)} if whole.count < FEW else {}
    return {"frechet": frechet_distance(whole.gaussian, real), **error}


def _summed(parts: Iterable[Tensor], spaces: dict[str, Features]) -> _Sums:
    """Sums of the features of pictures that come in parts."""
    sums: _Sums = {space: [] for space in spaces}
    for pictures in parts:
        for space, features in spaces.items():
            sums[space] = moments_of(extract(features, pictures), sums[space])
    return sums


def _kept(parts: Iterable[Tensor], first: list[Tensor], count: int) -> Iterable[Tensor]:
    """The same parts, the first ``count`` rows of which are put aside."""
    for part in parts:
        if count > 0:
            first.append(part[:count])
            count -= len(part)
        yield part
