"""Generated signals against real ones: how alike the sets are, and whether signals were copied from the training set.

Sets are compared by their pictures, averaged down to at most 64 a side. A figure of sets depends on the number of
signals, so all sets have the same, and real signals and noise go through the same comparison.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs
import torch
from torch import Tensor
from torch.nn import functional as F

from inrkit.core.draws import seed_of
from inrkit.core.modality import Source
from inrkit.errors import DataError
from inrkit.inference.heldout import Trained, batches, choose, compared_of, pictures_of
from inrkit.metrics.feature import Features, RandomConvFeatures, Standardised, WhitenedPCA
from inrkit.metrics.metric import compare_sets, nearest
from inrkit.progress import Progress

FIGURES = ("frechet", "kid", "precision", "recall", "f1", "density", "coverage", "diversity", "sliced_wasserstein")
_ON_VALUES = "sliced_wasserstein"  # needs no features: it has a space of its own, "values"
WITH_RATIO = ("frechet", _ON_VALUES)
"""Figures that even real signals do not bring to 0: they are given as multiples of that floor as well."""

BATCH = 100
_SIDE = 64
_FITTED_ON = 1000
_QUERIES = 500
_TRAINING = 50_000
_SHOWN = 10


def name_of(times: Sequence[float]) -> str:
    """ "1 step", "2 steps (80, 0.821)", or "18 steps" where the levels are too many to be named."""
    if len(times) == 1:
        return "1 step"
    return f"{len(times)} steps" + (f" ({', '.join(f'{t:g}' for t in times)})" if len(times) <= 4 else "")


@torch.no_grad()
def sampled_pictures(
    model: Trained, source: Source, numbers: Sequence[int], seed: int, times: Sequence[float], progress: Progress
) -> Tensor:
    """Small pictures of as many generated signals, each measured as that signal of the source is."""
    parts = []
    for part in batches(len(numbers), BATCH):
        where = compared_of(model, source, [numbers[i] for i in part]).where
        values = model.sample(len(part), seed=seed_of(seed, part.start), times=times).at(where)
        if not values.isfinite().all():
            raise DataError(
                f"the model of step {model.step} generates values that are not finite; evaluate an earlier checkpoint"
            )
        parts.append(small(pictures_of(model, values)))
        progress(part.stop, len(numbers), f"sampling, {name_of(times)}")
    return torch.cat(parts)


def real_pictures(model: Trained, source: Source, numbers: Sequence[int], stage: str, progress: Progress) -> Tensor:
    """Small pictures of these signals, on [-1, 1]."""
    return torch.cat(list(_stream(model, source, numbers, stage, progress)))


def floor_pictures(
    model: Trained,
    training: Source,
    numbers: Sequence[int],
    held_out: Source,
    beside: Sequence[int],
    progress: Progress,
) -> Tensor:
    """Small pictures of training signals, each measured where a held-out one was, if anybody knows it there.

    Sets that were measured at other places would differ for that reason alone, and the floor would be too high.
    """
    parts = []
    for part in batches(len(numbers), BATCH):
        wanted = [numbers[i] for i in part]
        own = compared_of(model, training, wanted)
        where = compared_of(model, held_out, [beside[i] for i in part]).where
        known = None if same_place(own.where, where) else model.modality.truth(training, wanted, where)
        parts.append(small(pictures_of(model, own.values if known is None else known)))
        progress(part.stop, len(numbers), "training signals of the floor")
    return torch.cat(parts)


def same_place(a: Any, b: Any) -> bool:
    """Whether two places are equal, tensor by tensor."""
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return a.shape == b.shape and bool(torch.equal(a, b))
    if type(a) is not type(b):
        return False
    if attrs.has(type(a)):
        names = [field.name for field in attrs.fields(type(a))]
        return all(same_place(getattr(a, name), getattr(b, name)) for name in names)
    return bool(a == b)


def _stream(model: Trained, source: Source, numbers: Sequence[int], stage: str, progress: Progress) -> Iterator[Tensor]:
    for part in batches(len(numbers), BATCH):
        yield small(pictures_of(model, compared_of(model, source, [numbers[i] for i in part]).values))
        progress(part.stop, len(numbers), stage)


def small(pictures: Tensor) -> Tensor:
    """Pictures in [0, 1] to values on [-1, 1], at most 64 a side."""
    height, width = pictures.shape[2:]
    share = min(1.0, _SIDE / max(height, width))
    if share < 1:
        pictures = F.adaptive_avg_pool2d(pictures, (max(1, round(height * share)), max(1, round(width * share))))
    return pictures * 2 - 1


# ---------------------------------------------------------------------------------------------- sets


def set_figures(
    model: Trained,
    samples: Mapping[str, Tensor],
    real: Tensor,
    measured: tuple[Source, Sequence[int]],
    training: Source,
    seed: int,
    chosen: set[str],
    progress: Progress,
) -> dict[str, Any]:
    """For each feature space a row for each kind of samples, one for training signals (the floor), one for noise.

    The features are fitted on training signals other than those of the floor, when there are enough. ``measured`` says
    which signals of which source ``real`` are.
    """
    floor, rest = floor_and_rest(model, training, *measured, seed, progress)
    others = torch.cat([floor, rest])
    count = min(len(real), len(floor))
    spaces = spaces_of(rest if len(rest) >= 64 else others)
    found: dict[str, dict[str, Any]] = {"values": {}, **{space: {} for space in spaces}}
    for i, (space, features) in enumerate(spaces.items()):
        progress(i, len(spaces), "comparing sets")
        # The values are the same in every space.
        rows = compare_sets(real[:count], floor[:count], samples, features, seed=seed, on_values=i == 0)
        for name, row in rows.items():
            found[space][name] = _figures(row, rows["real"], chosen - {_ON_VALUES})
            if i == 0:
                found["values"][name] = _figures(row, rows["real"], chosen & {_ON_VALUES})
    progress(len(spaces), len(spaces), "comparing sets")
    kept = {space: rows for space, rows in found.items() if any(rows.values())}
    return {"count": count, "size": list(real.shape[2:]), "spaces": kept}


def floor_and_rest(
    model: Trained, training: Source, held_out: Source, beside: Sequence[int], seed: int, progress: Progress
) -> tuple[Tensor, Tensor]:
    """As many training signals as held-out ones, to be compared with them, and others to fit features on."""
    numbers = choose(len(training), len(beside) + _FITTED_ON, seed)
    first, others = numbers[: len(beside)], numbers[len(beside) :]
    floor = floor_pictures(model, training, first, held_out, beside, progress)
    rest = real_pictures(model, training, others, "training signals", progress) if others else floor[:0]
    return floor, rest


def spaces_of(real: Tensor) -> dict[str, Features]:
    """Feature spaces fitted on real pictures (N, 3, H, W); random convolutions need 8 values a side."""
    spaces: dict[str, Features] = {}
    if min(real.shape[2:]) >= 8:
        size = (int(real.shape[2]), int(real.shape[3]))
        spaces["random-conv"] = Standardised.fit(RandomConvFeatures(3, size), real)
        spaces["random-conv-edges"] = Standardised.fit(RandomConvFeatures(3, size, edges=True), real)
    fitted_on = real[:_FITTED_ON]
    components = min(64, len(fitted_on) // 4, _rank(fitted_on))
    if components:
        spaces["whitened-pca"] = WhitenedPCA.fit(fitted_on, components=components)
    return spaces


def _rank(real: Tensor) -> int:
    """Directions in which real signals vary by more than a thousandth of how they vary most."""
    x = real.flatten(1).double()
    x = x - x.mean(dim=0)
    variance = torch.linalg.eigvalsh(x @ x.T if x.shape[1] > len(x) else x.T @ x)
    return int((variance > 1e-6 * variance[-1]).sum()) if variance[-1] > 0 else 0


def _figures(row: Mapping[str, float], floor: Mapping[str, float], chosen: set[str]) -> dict[str, float]:
    found = {name: float(row[name]) for name in FIGURES if name in chosen}
    for name in WITH_RATIO:
        if name in found and floor[name] > 0:
            found[f"{name}_ratio"] = found[name] / floor[name]
    return found


# ---------------------------------------------------------------------------------------------- memorisation


def memorisation_figures(
    model: Trained, samples: Tensor, held_out: Tensor, training: Source, seed: int, progress: Progress
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Distances to the nearest training signal, and the pictures of the generated signals that are nearest to one.

    Distances are root mean squares over the values of a picture on [-1, 1]. ``suspicious`` is the share of samples
    that are nearer than all but one in a hundred held-out signals: .01 is what new signals have.
    """
    count = min(len(samples), len(held_out), _QUERIES)
    numbers = choose(len(training), _TRAINING, seed)
    # One pass over the training set serves both.
    queries = torch.cat([samples[:count], held_out[:count]])
    found = nearest(queries, _stream(model, training, numbers, "nearest training signals", progress))
    distances = found.distances / samples[0].numel() ** 0.5
    of_samples, of_held_out = distances[:count], distances[count:]
    first_percent = torch.quantile(of_held_out, 0.01)
    figures = {
        "queries": count,
        "training": len(numbers),
        "samples": {"median": float(of_samples.median()), "least": float(of_samples.min())},
        "held_out": {"median": float(of_held_out.median()), "least": float(of_held_out.min())},
        "ratio": float(of_samples.median() / of_held_out.median()) if of_held_out.median() > 0 else 0.0,
        "suspicious": float((of_samples < first_percent).double().mean()),
    }
    order = of_samples.argsort()[:_SHOWN]
    originals = [numbers[i] for i in found.indices[:count][order].tolist()]
    neighbours = real_pictures(model, training, originals, "pictures of the nearest", progress)
    return figures, {"sample": (samples[order] + 1) / 2, "nearest": (neighbours + 1) / 2}
