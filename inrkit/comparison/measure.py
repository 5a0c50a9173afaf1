"""Runs measured alike: the same held-out signals, the same features, the same noise."""

import statistics
import timeit
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import torch
from torch import Tensor

from inrkit.comparison.operations import of_sample, of_training
from inrkit.config.resolve import Resolved
from inrkit.core.noise import T_MAX
from inrkit.errors import UsageError
from inrkit.evaluation.evaluate import own_times
from inrkit.evaluation.generation import LEAST, Reference, Way, ratio_of, sampled_pictures, small
from inrkit.evaluation.names import ENOUGH
from inrkit.evaluation.reconstruction import reconstruction_figures
from inrkit.inference.model import Model
from inrkit.inference.picture import pictures_of, shown_of
from inrkit.inference.signalset import SignalSet, source_of
from inrkit.machine.precision import autocast
from inrkit.metrics.frechet import needed
from inrkit.report.history import History

SHOWN = 12
DISTANCES = ("frechet", "frechet_ratio", "frechet_ratio_error")
SPACES = {"random-filters": "", "edge-filters": ", edge filters"}
"""Feature spaces in which sets are compared; blocks and grain show in the one that looks at edges."""

_BATCH = 16
_ROUNDS = 3


def run_figures(model: Model, reference: Reference, at: Sequence[Mapping[str, str]] = ()) -> dict[str, Any]:
    """What one run needs and what it can do, as JSON."""
    history, config = History.read(model.run), model.config
    step_flops = of_training(Resolved.of(config, type(model.modality))) / config.steps
    held_out = SignalSet.choose(model, "test", len(reference.signals), reference.seed)
    distances = {steps_of(times): frechet_of(model, reference, times) for times in own_times(model)}
    found = {f"{steps}{space}": row for steps, rows in distances.items() for space, row in rows.items()}
    return {
        "step": model.step,
        "steps": config.steps,
        "parameters": sum(p.numel() for p in model.pipeline.parameters()),
        "sample_flops": of_sample(model.pipeline, model.modality),
        "step_flops": step_flops,
        "training_flops": step_flops * model.step,
        "training_seconds": round(history.seconds(), 1),
        "training_memory": history.memory(),
        "sample_seconds": seconds_of(model, {}),
        "rate": {"&".join(f"{k}={v}" for k, v in place.items()): 1 / seconds_of(model, place) for place in at},
        "reconstruction": reconstruction_figures(held_out, {"psnr"}, reference.progress)["psnr"].get("mean"),
        **{key: {name: row[key] for name, row in found.items() if key in row} for key in DISTANCES},
    }


def refuse_unlike(first: Model, other: Model) -> None:
    """An error, before anything is measured, where one run shows other signals than the first, or at another size."""
    one, two = (model.sample(1) for model in (first, other))
    refuse_other_kinds({first.inr(one, 0).modality, other.inr(two, 0).modality})
    ours, theirs = (
        "x".join(map(str, small(pictures_of(model, sample.signal)).shape[:1:-1]))
        for model, sample in ((first, one), (other, two))
    )
    if ours != theirs:
        found = f"its pictures are {theirs}, those of the first run are {ours}"
        raise UsageError(f"{other.run}: {found}; compare runs of one size")


def refuse_other_kinds(modalities: set[str]) -> None:
    """Signals of one kind are compared."""
    if len(modalities) > 1:
        found = " and ".join(sorted(modalities))
        raise UsageError(f"expected one kind of signals, found {found}; compare like with like")


def frechet_of(model: Model, reference: Reference, times: Sequence[float]) -> dict[str, dict[str, float]]:
    """The distance of generated from held-out signals in each space, and, where there are enough to tell, as a multiple
    of what training signals have, with its standard error by the choice of signals."""
    if min(len(reference.real), len(reference.floor)) < LEAST:
        return {}
    samples = _pictures(model, reference, times)
    figures = {}
    for space in spaces_of(reference):
        rows = reference.compare({"samples": samples}, space)
        found, floor = rows["samples"], rows["real"]
        figures[SPACES.get(space, "")] = one = {"frechet": float(found["frechet"])}
        if (ratio := ratio_of(found, floor)) is not None:
            one["frechet_ratio"] = ratio
            if "frechet_error" in found:
                one["frechet_ratio_error"] = float(found["frechet_error"] / floor["frechet"])
    return figures


def needed_in(reference: Reference) -> int:
    """Signals in each set from which on the Fréchet distance is shown in all spaces."""
    return max(ENOUGH, *(needed(reference.spaces[name].dim) for name in spaces_of(reference)))


def spaces_of(reference: Reference) -> list[str]:
    """The names of `SPACES`, or what there is where signals are too small for them."""
    return [name for name in reference.spaces if name in SPACES] or list(reference.spaces)


def run_pictures(model: Model, seed: int) -> dict[str, Tensor]:
    """Small pictures to look at: samples from the same noise for every run, and encoded held-out signals."""
    rows = {steps_of(times): shown_of(model, model.sample(SHOWN, seed, times)) for times in own_times(model)}
    source = source_of(model, "test")
    encoded = SignalSet(model, source, range(min(SHOWN, len(source)))).encode()
    return {**rows, "encode": pictures_of(model, encoded.shown), "original": pictures_of(model, encoded.truth)}


def _pictures(model: Model, reference: Reference, times: Sequence[float]) -> Tensor:
    """Where the reference's signals were measured, or, for INRs of two stages, as they show themselves."""
    if model.modality.name == reference.signals.model.modality.name:
        signals = attrs.evolve(reference.signals, model=model)
        return sampled_pictures(signals, Way(times), reference.seed, reference.progress)
    drawn = model.sample(len(reference.signals), reference.seed, times).signal
    return torch.cat([small(pictures_of(model, part)) for part in drawn.split(100)])


def steps_of(times: Sequence[float]) -> str:
    """ "1 step", "2 steps"."""
    return f"{len(times)} step{'s' if len(times) > 1 else ''}"


@torch.no_grad()
def seconds_of(model: Model, place: Mapping[str, str]) -> float:
    """Seconds for one generated signal, in one step and measured at a place: the median of several batches."""
    where = model.modality.display.places(place)[0] if place else None

    def run() -> None:
        prediction = model.sample(_BATCH, times=(T_MAX,))
        if where is not None:
            with autocast(model.precision, model.device):
                for i in range(_BATCH):
                    prediction.rows(slice(i, i + 1)).at(where)
        if model.device.type == "cuda":
            torch.cuda.synchronize(model.device)

    run()
    return statistics.median(timeit.repeat(run, number=1, repeat=_ROUNDS)) / _BATCH
