"""Generated signals against real ones: how alike the sets are, and whether signals were copied from the training set.

Sets are compared by their pictures, averaged down to at most 64 a side. A figure of sets depends on the number of
signals, so all sets have the same, and real signals and noise go through the same comparison.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any, final

import attrs
import torch
from torch import Tensor
from torch.nn import functional as F

from inrkit.core.draws import seed_of
from inrkit.errors import DataError
from inrkit.evaluation.names import ENOUGH, OF_SETS
from inrkit.inference.picture import pictures_of
from inrkit.inference.signalset import SignalSet
from inrkit.metrics.feature import Features, RandomConvFeatures, Standardised, WhitenedPCA, centred
from inrkit.metrics.metric import compare_sets
from inrkit.metrics.neighbour import nearest
from inrkit.progress import Progress, quiet

WITH_RATIO = ("frechet", "sliced_wasserstein")
"""Figures that even real signals do not bring to 0: they are given as multiples of that floor as well."""
FEW = 5000
"""Signals in each set below which the Fréchet distance is given with its standard error."""

COPIES = 100
"""Signals from which on the nearest hundredth of them is known, which copies are told by."""

TRAINING = 50_000
"""Training signals, at most, that samples are held against and copies are looked for among."""
MOST = 5000
"""Signals, at most, that generated ones are held against in memory: further ones are only summed up."""

_ON_VALUES = "sliced_wasserstein"  # needs no features: it has a space of its own, "values"
_BATCH = 100
_SIDE = 64
_FITTED_ON = 1000
_QUERIES = 500
LEAST = 4
"""Signals in each set, at least: with fewer there is no third neighbour, by which precision and recall are told."""
_SHOWN = 10
_NAMED = 6


@attrs.frozen
class Way:
    """How signals are generated: the noise levels, highest first, and the scale of guidance."""

    times: Sequence[float]
    guidance: float = 1.0

    @property
    def name(self) -> str:
        """ "1 step", "2 steps (80, 0.821), guidance 3", or "18 steps" where the levels are too many to be named."""
        steps = "1 step" if len(self.times) == 1 else f"{len(self.times)} steps"
        levels = f" ({', '.join(f'{t:g}' for t in self.times)})" if 1 < len(self.times) <= _NAMED else ""
        return steps + levels + ("" if self.guidance == 1 else f", guidance {self.guidance:g}")


def small(pictures: Tensor) -> Tensor:
    """Pictures in [0, 1] to values on [-1, 1], at most 64 a side."""
    height, width = pictures.shape[2:]
    share = min(1.0, _SIDE / max(height, width))
    if share < 1:
        pictures = F.adaptive_avg_pool2d(pictures, (max(1, round(height * share)), max(1, round(width * share))))
    return pictures * 2 - 1


def real_pictures(signals: SignalSet, what: str = "", progress: Progress = quiet) -> Iterator[Tensor]:
    """Small pictures of these signals, some at a time."""
    for start, part in signals.parts(_BATCH):
        yield small(pictures_of(signals.model, part.reference().values))
        progress(start + len(part), len(signals), what)


@torch.no_grad()
def sampled_values(signals: SignalSet, way: Way, *seeds: int | str, size: int = _BATCH) -> Iterator[Tensor]:
    """As many generated signals, each measured as that one of the signals is, some at a time."""
    for start, part in signals.parts(size):
        drawn = signals.model.sample(len(part), seed_of(*seeds, start), way.times, guidance=way.guidance)
        yield drawn.at(part.reference().where)


def sampled_labels(signals: SignalSet, *seeds: int | str) -> Tensor | None:
    """The classes that `sampled_values` of these seeds asks for, (N,); None for a run without classes."""
    drawn = (signals.model.labels(len(part), seed_of(*seeds, start)) for start, part in signals.parts(_BATCH))
    known = [labels for labels in drawn if labels is not None]
    return torch.cat(known) if known else None


def sampled_pictures(signals: SignalSet, way: Way, seed: int, progress: Progress = quiet) -> Tensor:
    """Small pictures of as many generated signals, each measured as that one of the signals is."""
    return torch.cat(list(sampled_parts(signals, way, seed, progress)))


def sampled_parts(signals: SignalSet, way: Way, seed: int, progress: Progress = quiet) -> Iterator[Tensor]:
    """The same, some at a time."""
    for i, values in enumerate(sampled_values(signals, way, seed)):
        if not values.isfinite().all():
            raise DataError(
                f"the model of step {signals.model.step} generates values that are not finite; evaluate an earlier "
                "checkpoint"
            )
        yield small(pictures_of(signals.model, values))
        progress(min((i + 1) * _BATCH, len(signals)), len(signals), f"sampling, {way.name}")


def floor_pictures(training: SignalSet, beside: SignalSet, progress: Progress = quiet) -> Tensor:
    """Small pictures of training signals, each measured where a held-out one was, if anybody knows it there.

    Sets that were measured at other places would differ for that reason alone, and the floor would be too high.
    """
    pictures, truth = [], training.model.modality.display.truth
    for start, part in training.parts(_BATCH):
        own, where = part.reference(), beside[start : start + len(part)].reference().where
        known = None if same_place(own.where, where) else truth(part.source, part.numbers, where)
        pictures.append(small(pictures_of(training.model, own.values if known is None else known)))
        progress(start + len(part), len(training), "training signals of the floor")
    return torch.cat(pictures)


def same_place(a: Any, b: Any) -> bool:
    """Whether two places are equal, tensor by tensor."""
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return a.shape == b.shape and bool(torch.equal(a, b))
    if type(a) is type(b) and attrs.has(type(a)):
        return all(same_place(getattr(a, f.name), getattr(b, f.name)) for f in attrs.fields(type(a)))
    return type(a) is type(b) and bool(a == b)


def fitted_spaces(others: Tensor, every: Tensor) -> dict[str, Features]:
    """Feature spaces fitted on other signals than those that are compared, where there are enough."""
    return spaces_of(others if len(others) >= 64 else every)


def spaces_of(real: Tensor) -> dict[str, Features]:
    """Feature spaces fitted on real pictures (N, 3, H, W); random convolutions need 8 values a side."""
    spaces: dict[str, Features] = {}
    if min(real.shape[2:]) >= 8:
        size = (int(real.shape[2]), int(real.shape[3]))
        spaces["random-filters"] = Standardised.fit(RandomConvFeatures(3, size), real)
        spaces["edge-filters"] = Standardised.fit(RandomConvFeatures(3, size, edges=True), real)
    fitted_on = real[:_FITTED_ON]
    if components := min(64, len(fitted_on) // 4, _rank(fitted_on)):
        spaces["principal-components"] = WhitenedPCA.fit(fitted_on, components=components)
    return spaces


def _rank(real: Tensor) -> int:
    """Directions in which real signals vary by more than a thousandth of how they vary most."""
    x, _ = centred(real)
    variance = torch.linalg.eigvalsh(x @ x.T if x.shape[1] > len(x) else x.T @ x)
    return int((variance > 1e-6 * variance[-1]).sum()) if variance[-1] > 0 else 0


@final
@attrs.define(eq=False, slots=False)
class Reference:
    """Held-out signals that generated ones are held against, as many training signals, and features of neither.

    Training signals are the floor: a set of as many real signals, which the best generator cannot be nearer than.

    Args:
        signals: The held-out ones.
        seed: Of the choice of training signals, and of the comparison's noise.
        networks: Further feature spaces by name, such as a network with trained weights.
    """

    signals: SignalSet
    seed: int
    progress: Progress = quiet
    networks: Mapping[str, Features] = MappingProxyType({})

    @cached_property
    def real(self) -> Tensor:
        """Pictures of the held-out signals."""
        return torch.cat(list(real_pictures(self.signals, "held-out signals", self.progress)))

    @cached_property
    def floor(self) -> Tensor:
        """Pictures of as many training signals, measured as the held-out ones are."""
        return floor_pictures(self._training[: len(self.signals)], self.signals, self.progress)

    @cached_property
    def spaces(self) -> dict[str, Features]:
        """Feature spaces by name, fitted on training signals other than those of the floor, if there are enough; and
        the further ones."""
        parts = real_pictures(self._training[len(self.signals) :], "training signals", self.progress)
        rest = torch.cat([self.floor[:0], *parts])
        return fitted_spaces(rest, torch.cat([self.floor, rest])) | dict(self.networks)

    @cached_property
    def _training(self) -> SignalSet:
        return SignalSet.choose(self.signals.model, "train", len(self.signals) + _FITTED_ON, self.seed)

    def compare(self, samples: Mapping[str, Tensor], space: str, *, on_values: bool = False) -> dict[str, Any]:
        """All figures in one of the spaces: see `compare_sets`."""
        count = min(len(self.real), len(self.floor))
        real, floor = self.real[:count], self.floor[:count]
        return compare_sets(real, floor, samples, self.spaces[space], seed=self.seed, on_values=on_values, few=FEW)


def set_figures(reference: Reference, samples: Mapping[str, Tensor], chosen: set[str]) -> dict[str, Any]:
    """For each feature space a row for each kind of samples, one for training signals (the floor), one for noise."""
    count = min(len(reference.real), len(reference.floor))
    spaces = list(reference.spaces) if count >= LEAST else []
    found: dict[str, dict[str, Any]] = {"values": {}, **{space: {} for space in spaces}}
    least = {"values": ENOUGH}
    for i, space in enumerate(spaces):
        reference.progress(i, len(spaces), "comparing sets")
        # The values are the same in every space.
        rows = reference.compare(samples, space, on_values=i == 0)
        least[space] = needed_in(rows["real"])
        for name, row in rows.items():
            found[space][name] = _figures(row, rows["real"], chosen - {_ON_VALUES})
            if i == 0:
                found["values"][name] = _figures(row, rows["real"], chosen & {_ON_VALUES})
    reference.progress(len(spaces), len(spaces), "comparing sets")
    kept = {space: rows for space, rows in found.items() if any(rows.values())}
    least = {space: least[space] for space in kept}
    return {"count": count, "needed": least, "size": list(reference.real.shape[2:]), "spaces": kept}


def _figures(row: Mapping[str, float], floor: Mapping[str, float], chosen: set[str]) -> dict[str, float]:
    found = {name: float(row[name]) for name in OF_SETS if name in chosen}
    if "frechet" in found and "frechet_error" in row:
        found["frechet_error"] = float(row["frechet_error"])
    for name in WITH_RATIO:
        if name in found and (ratio := ratio_of(row, floor, name)) is not None:
            found[f"{name}_ratio"] = ratio
    return found


def ratio_of(row: Mapping[str, float], floor: Mapping[str, float], name: str = "frechet") -> float | None:
    """A figure as a multiple of what as many real signals have; None where too few are known to tell."""
    least = needed_in(row) if name == "frechet" else ENOUGH
    return float(row[name] / floor[name]) if row["count"] >= least and floor[name] > 0 else None


def needed_in(row: Mapping[str, float]) -> int:
    """Signals in each set from which on the Fréchet distance of this row is shown."""
    return max(ENOUGH, int(row["needed"]))


def memorisation_figures(
    samples: Tensor, held_out: Tensor, training: SignalSet, progress: Progress = quiet
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Distances to the nearest training signal, and the pictures of the generated signals that are nearest to one.

    Distances are root mean squares over the values of a picture on [-1, 1]. ``suspicious`` is the share of samples
    that are nearer than all but one in a hundred held-out signals: .01 is what new signals have.
    """
    count = min(len(samples), len(held_out), _QUERIES)
    # One pass over the training set serves both.
    queries = torch.cat([samples[:count], held_out[:count]])
    found = nearest(queries, real_pictures(training, "nearest training signals", progress))
    of_samples, of_held_out = (found.distances / samples[0].numel() ** 0.5).split(count)
    usual = float(of_held_out.median())
    figures = {
        "queries": count,
        "training": len(training),
        "samples": {"median": float(of_samples.median()), "least": float(of_samples.min())},
        "held_out": {"median": usual, "least": float(of_held_out.min())},
        "ratio": float(of_samples.median()) / usual if usual > 0 else 0.0,
        "suspicious": float((of_samples < torch.quantile(of_held_out, 0.01)).double().mean()),
    }
    order = of_samples.argsort()[:_SHOWN]
    originals = attrs.evolve(training, numbers=[training.numbers[i] for i in found.indices[:count][order].tolist()])
    neighbours = torch.cat(list(real_pictures(originals, "pictures of the nearest", progress)))
    return figures, {"sample": (samples[order] + 1) / 2, "nearest": (neighbours + 1) / 2}


@torch.no_grad()
def spread_figures(signals: SignalSet, seed: int, progress: Progress = quiet) -> dict[str, Any]:
    """Root mean square differences between pairs of generated, and pairs of real signals, all at the template's place.

    Empty where nobody knows what real signals look like there, and for a single signal.
    """
    if not (count := len(signals) // 2 * 2):
        return {}
    drawn = signals.model.sample(count, seed=seed_of(seed, "spread"), progress=progress)
    real = signals.model.modality.display.truth(signals.source, signals.numbers[:count], drawn.observation.where)
    if real is None:
        return {}
    generated, known = _between_pairs(drawn.signal.cpu()), _between_pairs(real.cpu())
    ratio = generated / known if known > 0 else 0.0
    return {"spread": {"count": count, "samples": generated, "real": known, "ratio": ratio}}


def _between_pairs(values: Tensor) -> float:
    a, b = values.float().clamp(-1, 1).flatten(1).chunk(2)
    return float((a - b).square().mean(1).sqrt().mean())
