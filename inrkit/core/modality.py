"""What a plugin hands over: all that is particular to one kind of signal, so that nothing else has to know it."""

import abc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from inrkit.core.draws import Draws
from inrkit.core.inr import Params
from inrkit.core.noise import Readout
from inrkit.core.observation import Batch, Observation
from inrkit.core.pipeline import Pipeline
from inrkit.core.surface import Surface

Signals = Mapping[str, Tensor]
"""Raw signals as a source reads them: name to tensor, rows first."""


class Source(abc.ABC):
    """A data set: signals by number. It can be pickled, and reads only what is asked for."""

    @abc.abstractmethod
    def __len__(self) -> int:
        """How many signals there are."""

    @abc.abstractmethod
    def read(self, numbers: Sequence[int]) -> Signals:
        """These signals, in this order. Law: depends on the numbers alone."""

    @property
    @abc.abstractmethod
    def facts(self) -> Mapping[str, Any]:
        """What the data are, as JSON: for configs, reports and error messages."""


class Modality(abc.ABC):
    """One kind of signal.

    Args:
        options: An instance of ``Options``, an attrs class whose fields become config keys under ``options``.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    Options: ClassVar[type]
    presets: ClassVar[Mapping[str, Mapping[str, Any]]]
    """Preset name to (partial, nested) config; the first is the default."""
    shown_at: ClassVar[Mapping[str, str]] = {}
    """The request whose place generated signals are shown at, in sheets and reports; empty: as they were observed."""
    suffix: ClassVar[str] = ".png"
    """What renders are written as where no name is given: see `write`."""

    known_failures: ClassVar[Mapping[str, str]] = {}
    """Names of checks of `inrkit.testing` that such signals cannot pass, with the reason."""

    def __init__(self, options: Any) -> None:
        self.options = options

    @abc.abstractmethod
    def source(self, data: Path | None, split: str) -> Source:
        """The signals of ``split`` ("train" or "test"): from a store, or embedded when ``data`` is None."""

    @abc.abstractmethod
    def fitted(self, source: Source) -> Any:
        """Our options with all that was left open (None) taken from the data; an error where they contradict it."""

    @abc.abstractmethod
    def build(self, readout: Readout) -> Pipeline:
        """A new, untrained pipeline. Chance comes from torch's global generator, which the caller has seeded."""

    @abc.abstractmethod
    def observe(self, signals: Signals, draws: Draws, *, training: bool) -> Batch:
        """Support and query observations of raw signals; with augmentation and subsampling only in training."""

    @abc.abstractmethod
    def template(self, rows: int) -> Observation:
        """Where generated signals are observed, with values of the right shape that mean nothing."""

    @abc.abstractmethod
    def read(self, paths: Sequence[Path]) -> tuple[Signals, Sequence[str]]:
        """Signals, and a name for each, from files of the user."""

    @abc.abstractmethod
    def places(self, request: Mapping[str, str]) -> Sequence[Any]:
        """The ``where`` of each picture that a user asks for, with {"size": "512x512"} or {"orbit": "60"}.

        An empty request means the place of training.
        """

    @abc.abstractmethod
    def pictures(self, values: Tensor) -> Tensor:
        """Something to look at for each row: (B, 3, H, W) in [0, 1]."""

    def coarse(self, path: Path, factor: int) -> Tensor | None:
        """Values (C, ...) of a file whose signal is exactly ``factor`` times as coarse as the support; else None."""
        return None

    def compared(self, batch: Batch) -> Observation:
        """What of each signal sets of them are compared by: by default, all that the query measures."""
        return batch.query

    def truth(self, source: Source, numbers: Sequence[int], where: Any) -> Tensor | None:
        """The values (B, C, ...) that these signals of a source have at another place; None where nobody knows."""
        return None

    def figures(self, shown: Tensor, truth: Tensor) -> Mapping[str, Tensor]:
        """How good answers (B, C, ...) are beside the truth, by name and (B,) each, besides PSNR and SSIM."""
        return {}

    def surface(self, pipeline: Pipeline, params: Params) -> Surface | None:
        """The surface of one signal, params (1, ...), in the world's units; None for what has none."""
        return None

    def finished(self, inr: Any) -> Any:
        """What is kept of one signal: the `inrkit.InrFile` of its params, unless those are an INR of another kind."""
        return inr

    @abc.abstractmethod
    def write(self, values: Sequence[Tensor], path: Path) -> Path:
        """Saves one signal as people keep them (one tensor (C, ...) for each place); returns the path."""
