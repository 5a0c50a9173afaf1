"""Runs measured alike: the same held-out signals, the same features, the same noise."""

import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor

from inrkit.comparison.operations import of_sample, of_training
from inrkit.config.resolve import Resolved
from inrkit.core.noise import T_MAX
from inrkit.errors import UsageError
from inrkit.evaluation import sets
from inrkit.evaluation.evaluate import encode_figures, own_times
from inrkit.inference.heldout import choose, encode, pictures_of, shown_of, source_of
from inrkit.inference.model import Model
from inrkit.machine.precision import autocast
from inrkit.metrics.metric import compare_sets
from inrkit.progress import Progress
from inrkit.report.history import History

SHOWN = 12
_BATCH = 16
_ROUNDS = 3


@final
class Judge:
    """Held-out signals of one model's data, a floor of training signals, and features fitted on neither.

    Args:
        model: Whose data all are held to.
        n: Signals in each set, at most.
        seed: Of what is generated.
        progress: Shows how far it is.
    """

    def __init__(self, model: Model, n: int, seed: int, progress: Progress) -> None:
        self.kind, self.seed, self.progress = model.modality.name, seed, progress
        self.source, training = source_of(model, "test"), source_of(model, "train")
        self.numbers = choose(len(self.source), n, seed)
        self.real = sets.real_pictures(model, self.source, self.numbers, "held-out signals", progress)
        self.floor, rest = sets.floor_and_rest(model, training, self.source, self.numbers, seed, progress)
        spaces = sets.spaces_of(rest if len(rest) >= 64 else torch.cat([self.floor, rest]))
        self.spaces = {name: features for name, features in spaces.items() if name != "whitened-pca"} or spaces

    def figures(self, model: Model, at: Sequence[Mapping[str, str]] = ()) -> dict[str, Any]:
        """What one run needs and what it can do, as JSON."""
        history = History.read(model.run)
        row: dict[str, Any] = {
            "step": model.step,
            "parameters": sum(p.numel() for p in model.pipeline.parameters()),
            "sample_operations": of_sample(model.pipeline, model.modality),
            "step_operations": of_training(Resolved.of(model.config, type(model.modality))) / model.config.steps,
            "training_seconds": round(history.seconds(), 1),
            "training_memory": history.memory(),
        }
        row["training_operations"] = row["step_operations"] * model.step
        row["sample_seconds"] = seconds_of(model, {})
        row["rate"] = {"&".join(f"{k}={v}" for k, v in place.items()): 1 / seconds_of(model, place) for place in at}
        held_out = source_of(model, "test")
        numbers = choose(len(held_out), len(self.real), self.seed)
        row["encode"] = encode_figures(model, held_out, numbers, {"psnr"}, self.progress)["psnr"].get("mean")
        row["frechet"] = {}
        for times in own_times(model):
            row["frechet"] |= {
                f"{steps_of(times)}{space}": ratio for space, ratio in self.frechet(model, times).items()
            }
        return row

    def frechet(self, model: Model, times: Sequence[float]) -> dict[str, float]:
        """The distance of generated from held-out signals, as a multiple of what training signals have.

        In the first of the feature spaces, named "", and in the one that looks at edges, named ", edges": blocks and
        grain show there.
        """
        samples = self._pictures(model, times)
        if samples.shape[1:] != self.real.shape[1:]:
            ours, theirs = ("x".join(map(str, x.shape[:1:-1])) for x in (self.real, samples))
            raise UsageError(
                f"{model.run}: its pictures are {theirs}, those of the first run are {ours}; compare runs of one size"
            )
        ratios = {}
        for i, features in enumerate(self.spaces.values()):
            found = compare_sets(self.real, self.floor, {"samples": samples}, features, seed=self.seed, on_values=False)
            floor, distance = found["real"]["frechet"], found["samples"]["frechet"]
            ratios[", edges" if i else ""] = float(distance / floor) if floor > 0 else float(distance)
        return ratios

    def shown(self, model: Model) -> dict[str, Tensor]:
        """Small pictures to look at: samples from the same noise for every run, and encoded held-out signals."""
        rows = {steps_of(times): shown_of(model, model.sample(SHOWN, self.seed, times)) for times in own_times(model)}
        held_out = source_of(model, "test")
        encoded = encode(model, held_out, range(min(SHOWN, len(held_out))))
        return {**rows, "encode": pictures_of(model, encoded.shown), "original": pictures_of(model, encoded.truth)}

    def _pictures(self, model: Model, times: Sequence[float]) -> Tensor:
        """Where the judge's signals were measured, or, for another kind of signal, as that kind shows itself."""
        if model.modality.name == self.kind:
            return sets.sampled_pictures(model, self.source, self.numbers, self.seed, times, self.progress)
        parts = []
        drawn = model.sample(len(self.real), self.seed, times)
        for start in range(0, len(self.real), sets.BATCH):
            part = drawn.rows(slice(start, min(start + sets.BATCH, len(self.real))))
            parts.append(sets.small(pictures_of(model, part.signal)))
        return torch.cat(parts)


def steps_of(times: Sequence[float]) -> str:
    """ "1 step", "2 steps"."""
    return f"{len(times)} step{'s' if len(times) > 1 else ''}"


@torch.no_grad()
def seconds_of(model: Model, place: Mapping[str, str]) -> float:
    """Seconds for one generated signal, in one step and measured at a place: the median of several batches."""
    where = model.modality.places(place)[0] if place else None

    def run() -> None:
        prediction = model.sample(_BATCH, times=(T_MAX,))
        if where is not None:
            with autocast(model.precision, model.device):
                for i in range(_BATCH):
                    prediction.rows(slice(i, i + 1)).at(where)
        if model.device.type == "cuda":
            torch.cuda.synchronize(model.device)

    run()
    found = []
    for _ in range(_ROUNDS):
        begin = time.perf_counter()
        run()
        found.append(time.perf_counter() - begin)
    return statistics.median(found) / _BATCH


def load(run: Path, device: str) -> Model:
    """A run as it is measured: in the precision that is fast here."""
    return Model.load(run, device=device, precision="auto")
