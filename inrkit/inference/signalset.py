"""Some signals of a data set as a trained model sees them: the truth, and what their INRs show."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, final

import attrs
import torch
from torch import Tensor

from inrkit.config.data import open_data
from inrkit.core.draws import seed_of
from inrkit.core.modality import Source
from inrkit.core.observation import Batch, Observation
from inrkit.core.pipeline import Prediction
from inrkit.errors import DataError
from inrkit.inference.model import Model


class Encoded(NamedTuple):
    """Signals that the query measured, (B, C, ...); what their INRs show at the same place; and the INRs."""

    truth: Tensor
    shown: Tensor
    prediction: Prediction


@final
@attrs.frozen(eq=False)
class SignalSet:
    """The signals of these numbers of a source. Law: what it gives depends on the model and the numbers alone."""

    model: Model
    source: Source
    numbers: Sequence[int]

    @classmethod
    def choose(cls, model: Model, split: str, count: int, seed: int, data: Path | str | None = None) -> "SignalSet":
        """At most ``count`` signals of a split, of other data than the model was trained on if so wished."""
        source = source_of(model, split, data)
        return cls(model, source, choose(len(source), count, seed))

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, rows: slice) -> "SignalSet":
        return attrs.evolve(self, numbers=self.numbers[rows])

    def parts(self, size: int) -> Iterator[tuple[int, "SignalSet"]]:
        """(number of the first, as many as ``size`` of the signals), one after the other."""
        for part in batches(len(self), size):
            yield part.start, self[part.start : part.stop]

    def observe(self) -> Batch:
        """As the denoiser sees them."""
        return self.model.observe(self.source.read(self.numbers), self.numbers)

    def reference(self) -> Observation:
        """What of these signals sets are compared by."""
        return self.model.modality.display.reference(self.observe())

    @torch.no_grad()
    def encode(self) -> Encoded:
        """Their INRs."""
        batch = self.observe()
        prediction = self.model.encode(batch)
        return Encoded(batch.query.values, prediction.at(batch.query.where), prediction)


def source_of(model: Model, split: str, data: Path | str | None = None) -> Source:
    """The signals of a split, of other data than the model was trained on if so wished."""
    if (other := data or model.stand_in) is not None:
        return open_data(str(other), model.modality, split)
    try:
        return open_data(model.config.data, model.modality, split)
    except DataError as error:
        theirs = f"these are the data of {model.run}; others can be given with '--data'"
        raise DataError(f"{error} ({theirs})") from error


def with_data(model: Model, data: Path | str | None, say: Callable[[str], object] = lambda text: None) -> Model:
    """The same model; one whose own data are not here takes training signals from ``data``, and that is said."""
    if data is None or model.stand_in is not None:
        return model
    try:
        open_data(model.config.data, model.modality, "train")
    except DataError as error:
        say(f"{error}; the training signals of {data} stand for those of {model.run.name}")
        return attrs.evolve(model, stand_in=str(data))
    return model


def batches(count: int, size: int) -> Iterator[range]:
    """The numbers 0 to count - 1 in parts of ``size``."""
    for start in range(0, count, size):
        yield range(start, min(start + size, count))


def choose(count: int, wanted: int, seed: int) -> list[int]:
    """At most ``wanted`` different numbers below ``count``, in an order that the seed decides."""
    generator = torch.Generator().manual_seed(seed_of(seed, "choose", count))
    return torch.randperm(count, generator=generator)[:wanted].tolist()
