"""How good a trained model is, in numbers: `evaluation.json` and the sheet `nearest.png` in the run directory.

    reconstruction  PSNR and SSIM of INRs of held-out signals where they are queried, what else the modality counts, and
                    the PSNR of the best constant answer, the mean of training signals
    every           with ``whole``, Fréchet distances over all single pictures, such as every view of every object
    sets            generated signals against held-out ones, with real signals (the floor) and noise beside them
    training        Fréchet distances of generated signals from training signals, as papers have them
    classes         what a classifier makes of generated signals, beside what it makes of real ones
    memorisation    how near generated signals are to the training set, beside how near held-out signals are to it
    spread          how far generated signals differ from each other at one place, beside how far real ones do there
    resolution      larger renders of INRs, averaged back, against their smallest render
    larger          the same renders against the truth, where it is known
    denoising       how far f(x + t z, t) is from x, over noise levels t
    trajectory      how far f(x + t z, t) moves from one t to the next, over levels that training never saw
    times           the middle noise level of two steps, when it was searched: from then on the run samples with it

Everything is computed a batch at a time; of the signals only small pictures are kept.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import attrs

from inrkit.core.draws import seed_of
from inrkit.drawing.sheet import labelled_rows, save_png
from inrkit.errors import DataError, UsageError
from inrkit.evaluation import classes, consistency, generation, reconstruction
from inrkit.evaluation.every import EveryView
from inrkit.evaluation.generation import LEAST, Reference, Way
from inrkit.evaluation.names import (
    CLASSES,
    CONSISTENCY,
    ENOUGH,
    OF_SETS,
    PERCEPTUAL,
    RECONSTRUCTION,
    check_count,
    chosen_metrics,
)
from inrkit.evaluation.search import search_middle
from inrkit.evaluation.training import training_figures
from inrkit.inference.evaluated import FORMAT, write_evaluation
from inrkit.inference.model import Model
from inrkit.inference.signalset import SignalSet, with_data
from inrkit.inference.times import searched
from inrkit.metrics.feature import Classifier, FeatureNetwork
from inrkit.metrics.perceptual import has_stages
from inrkit.progress import Progress, quiet
from inrkit.storage import fileerror

_COMPARED = 256
_CONSISTENT = 32
_ENLARGED = 16
_SEARCHED = 1000


def evaluate(
    model: Model,
    *,
    data: Path | str | None = None,
    n: int = 2000,
    seed: int = 0,
    metrics: Sequence[str] | None = None,
    search_times: bool = False,
    whole: bool = False,
    times: Sequence[float] | None = None,
    guidance: float = 1.0,
    networks: Mapping[str, FeatureNetwork] = MappingProxyType({}),
    progress: Progress = quiet,
) -> dict[str, Any]:
    """The figures, as plain JSON; also written to the run directory, where the next report finds them.

    Args:
        data: A store whose held-out signals to use; and its training signals, where the model's own are not here.
        n: Signals in each set, at most; of held-out ones at most 5000. Fréchet distances from training signals are of
            as many samples in any case, such as 50000, in bounded memory.
        seed: Of the generated signals and of the choice of real ones. The same seed gives the same figures.
        metrics: Some of `inrkit.evaluation.names.METRICS`; all by default.
        search_times: First look for the middle noise level of two steps; the figures are then those of samples by way
            of it, and so are later samples of this checkpoint.
        whole: Whether what is reconstructed is all that is known of a signal, such as every view of an object, where
            usually some of it is taken; with the nearest training signal beside it, and Fréchet distances of all
            single pictures in the features of ``networks``.
        times: Also compare samples by way of these noise levels, highest first.
        guidance: Scale of classifier-free guidance of samples by way of ``times``, or of one step and two without.
        networks: Further networks by name whose features sets are compared by: see `make_features`. One that is a
            `Classifier` also judges single signals.
    """
    chosen, model = chosen_metrics(metrics), with_data(model, data)
    if metrics is not None:
        _check_networks(chosen, list(networks.values()))
    with fileerror.disk_errors(model.run):
        model.run.mkdir(parents=True, exist_ok=True)
    check_count(n)
    if times is not None or guidance != 1:
        model.sample(1, seed, times, guidance=guidance)  # a mistake in them shows before the work
    signals = SignalSet.choose(model, "test", min(n, generation.MOST), seed, data)
    of_pictures = networks if whole and "frechet" in chosen else {}
    chosen = _possible(chosen, len(signals), asked=metrics is not None and not of_pictures)
    result = _measured(signals, n, seed)
    found = search_middle(model, min(n, _SEARCHED), seed, progress) if search_times else searched(model.run, model.step)
    if found:
        result["times"] = found
    ways = _ways(model, found, times, guidance)
    compared = [x for x in networks.values() if PERCEPTUAL in chosen and has_stages(x)]
    if chosen & set(RECONSTRUCTION) or compared or of_pictures:
        measured = attrs.evolve(signals, source=signals.source.whole()) if whole else signals
        every = EveryView(measured, of_pictures, seed, progress) if whole else None
        result["reconstruction"] = reconstruction.reconstruction_figures(measured, chosen, progress, compared, every)
        result |= {} if every is None else every.figures(ways)
    if chosen & {*OF_SETS, CLASSES, "memorisation"}:
        result |= _generation(Reference(signals, seed, progress, networks), ways, chosen, n)
    result |= _of_few(signals, chosen, seed, progress)
    write_evaluation(model.run, result)
    return result


def _measured(signals: SignalSet, n: int, seed: int) -> dict[str, Any]:
    """What figures are of: the checkpoint, the signals, and what stood for training signals that are not here."""
    model, there = signals.model, signals.source
    result = {"format": FORMAT, "step": model.step, "seed": seed, "asked": n, "held_out": len(there)}
    stand_in = {} if model.stand_in is None else {"stand_in": Path(model.stand_in).name}
    return result | {"taken": len(signals), "data": dict(there.facts)} | stand_in


def _of_few(signals: SignalSet, chosen: set[str], seed: int, progress: Progress) -> Mapping[str, Any]:
    """What some of the signals suffice for."""
    result: dict[str, Any] = {}
    if "spread" in chosen:
        result |= generation.spread_figures(signals[:_COMPARED], seed, progress)
    if "resolution" in chosen:
        result |= reconstruction.resolution_figures(signals[:_ENLARGED], progress)
    if chosen & set(CONSISTENCY):
        result |= consistency.consistency_figures(signals[:_CONSISTENT], seed, chosen, progress)
    return result


def _possible(chosen: set[str], count: int, *, asked: bool) -> set[str]:
    """The metrics that so many signals have: one object seen from many sides is worth measuring, but is no set."""
    of_sets = sorted(chosen & set(OF_SETS))
    if count >= LEAST or not of_sets:
        return chosen
    if asked:
        raise UsageError(
            f"'{of_sets[0]}' compares sets of at least {LEAST} signals, but the data hold out {count}; "
            "measure psnr and ssim, or all pictures of each by '--whole --features NAME'"
        )
    return chosen - set(of_sets)


def _check_networks(chosen: set[str], networks: Sequence[FeatureNetwork]) -> None:
    """An error where a figure was asked for by name that needs another network."""
    if CLASSES in chosen and not any(isinstance(network, Classifier) for network in networks):
        raise UsageError("'classes' needs a classifier; give '--features resnet20 --weights FILE' or another")
    if PERCEPTUAL in chosen and not any(map(has_stages, networks)):
        raise UsageError(
            "'perceptual' needs a network with stages; give '--features alexnet --weights FILE' or another"
        )


def own_times(model: Model, found: Mapping[str, Any] | None = None) -> Sequence[Sequence[float]]:
    """One step and two of a consistency function, by way of the level that was found; the path of a diffusion model."""
    if not model.sampler.few_steps:
        return (model.times(),)
    return model.times(1), model.sampler.times(2, found["middle"]) if found else model.times(2)


def _ways(
    model: Model, found: Mapping[str, Any] | None, times: Sequence[float] | None, guidance: float
) -> Sequence[Way]:
    """The model's own ways to sample, and the one that was asked for beside them."""
    own = [Way(tuple(levels)) for levels in own_times(model, found)]
    further = own if times is None else [Way(tuple(times))]
    return list(dict.fromkeys([*own, *(attrs.evolve(way, guidance=guidance) for way in further)]))


def _generation(held: Reference, ways: Sequence[Way], chosen: set[str], n: int) -> Mapping[str, Any]:
    """All that needs generated signals."""
    signals, progress, own = held.signals, held.progress, seed_of(held.seed, "evaluate")
    result: dict[str, Any] = {}
    if chosen & set(OF_SETS) and bool((held.real == held.real[:1]).all()):
        raise DataError(
            f"figures of sets compare signals that differ, found {len(held.real)} held-out signals that are all equal; "
            "'--metrics psnr,ssim' measures reconstruction alone"
        )
    if "frechet" in chosen and n >= ENOUGH:
        samples, result["training"] = training_figures(held, ways, n, own)
    else:
        samples = {way.name: generation.sampled_pictures(signals, way, own, progress) for way in ways}
    if chosen & set(OF_SETS):
        result["sets"] = generation.set_figures(held, samples, chosen)
    if CLASSES in chosen:
        asked = generation.sampled_labels(signals, own)
        if found := classes.class_figures(held.networks, samples, held.real, held.floor, signals, asked):
            result["classes"] = found
    if "memorisation" in chosen:
        training = SignalSet.choose(signals.model, "train", generation.TRAINING, held.seed)
        first = next(iter(samples.values()))
        result["memorisation"], closest = generation.memorisation_figures(first, held.real, training, progress)
        save_png(labelled_rows(closest), signals.model.run / "nearest.png")
    return result
