"""Held-out signals as a trained model sees them: the truth, what their INRs show, and pictures of both."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol, final

import attrs
import torch
from torch import Tensor

from inrkit.config.run import RunConfig
from inrkit.core.draws import Draws, seed_of
from inrkit.core.modality import Modality, Source
from inrkit.core.observation import Batch, Observation
from inrkit.core.pipeline import Pipeline, Prediction
from inrkit.core.sample import Sampler
from inrkit.errors import UsageError


class Trained(Protocol):
    """What sheets, reports and evaluation need of a model: see `inrkit.inference.model.Model`."""

    @property
    def modality(self) -> Modality: ...

    @property
    def pipeline(self) -> Pipeline: ...

    @property
    def config(self) -> RunConfig: ...

    @property
    def step(self) -> int: ...

    @property
    def sampler(self) -> Sampler: ...

    def times(self, steps: int | None = None) -> tuple[float, ...]: ...

    def labels(self, n: int, seed: int = 0) -> Tensor | None: ...

    def sample(self, n: int, seed: int = 0, times: Sequence[float] | None = None) -> Prediction: ...


@final
@attrs.frozen(eq=False)
class Encoded:
    """Some signals and their INRs.

    Args:
        truth: The values that the query measured, (B, C, ...).
        shown: What the INRs show at the same place, (B, C, ...).
        prediction: The INRs.
    """

    truth: Tensor
    shown: Tensor
    prediction: Prediction


def source_of(model: Trained, split: str, data: Path | None = None) -> Source:
    """The signals of a split, of other data than the model was trained on if so wished."""
    return model.modality.source(data if data is not None else model.config.store, split)


def device_of(model: Trained) -> torch.device:
    return next(model.pipeline.parameters()).device


@torch.no_grad()
def encode(model: Trained, source: Source, numbers: Sequence[int]) -> Encoded:
    """The INRs of these signals of a source. Law: depends on the model and the numbers alone."""
    batch = observed(model, source, numbers)
    prediction = model.pipeline.encode(batch.support, batch.label)
    return Encoded(batch.query.values, prediction.at(batch.query.where), prediction)


def compared_of(model: Trained, source: Source, numbers: Sequence[int]) -> Observation:
    """What of these signals sets are compared by."""
    return model.modality.compared(observed(model, source, numbers))


def observed(model: Trained, source: Source, numbers: Sequence[int]) -> Batch:
    """These signals of a source as the denoiser sees them. Law: depends on the numbers alone."""
    draws = Draws(seed_of("held out", *numbers), len(numbers), device=device_of(model))
    return model.modality.observe(source.read(numbers), draws, training=False)


@torch.no_grad()
def rendered(model: Trained, prediction: Prediction, request: Mapping[str, str]) -> Tensor | None:
    """Pictures (B, 3, H, W) of INRs at the place that a request means; None where there is no such place."""
    try:
        where = model.modality.places(request)[0]
    except UsageError:
        return None
    where = attrs.evolve(model.modality.template(1), where=where).to(device_of(model)).where
    shown = [prediction.rows(slice(i, i + 1)).at(where) for i in range(len(prediction.t))]
    return pictures_of(model, torch.cat(shown))


def enlarged(model: Trained, prediction: Prediction, factors: Sequence[int]) -> dict[int, Tensor]:
    """Factor to pictures of INRs that are so many times as large as those at the place of training.

    Empty for a modality that cannot be asked for a size.
    """
    base = rendered(model, prediction, {})
    if base is None:
        return {}
    height, width = base.shape[2:]
    found = {1: base}
    for factor in factors:
        size = (height * factor, width * factor)
        pictures = base if factor == 1 else rendered(model, prediction, {"size": f"{size[1]}x{size[0]}"})
        if pictures is not None and tuple(pictures.shape[2:]) == size:
            found[factor] = pictures
    return found if len(found) > 1 else {}


@torch.no_grad()
def pictures_of(model: Trained, values: Tensor) -> Tensor:
    """Pictures (B, 3, H, W) in [0, 1] on the CPU."""
    return model.modality.pictures(values).float().cpu()


def shown_of(model: Trained, prediction: Prediction) -> Tensor:
    """Pictures of generated signals, at the place where the modality wants them looked at."""
    request = model.modality.shown_at
    pictures = rendered(model, prediction, request) if request else None
    return pictures_of(model, prediction.signal) if pictures is None else pictures


def batches(count: int, size: int) -> Iterator[range]:
    """The numbers 0 to count - 1 in parts of ``size``."""
    for start in range(0, count, size):
        yield range(start, min(start + size, count))


def choose(count: int, wanted: int, seed: int) -> list[int]:
    """At most ``wanted`` different numbers below ``count``, in an order that the seed decides."""
    generator = torch.Generator().manual_seed(seed_of(seed, "choose", count))
    return torch.randperm(count, generator=generator)[:wanted].tolist()
