"""What a plugin hands over: all that is particular to one kind of signal, so that nothing else has to know it."""

import abc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, final

import attrs
from torch import Tensor

from inrkit.core.denoiser import Denoiser
from inrkit.core.draws import Draws
from inrkit.core.inr import Params
from inrkit.core.measure import Measure
from inrkit.core.noise import Readout
from inrkit.core.observation import Batch, Observation
from inrkit.core.pipeline import Pipeline
from inrkit.core.size import Size
from inrkit.core.surface import Surface
from inrkit.core.view import View
from inrkit.errors import UsageError

Signals = Mapping[str, Tensor]
"""Raw signals as a source reads them: name to tensor, rows first."""


@final
@attrs.frozen(eq=False)
class Original:
    """A signal at the resolution of its file.

    Args:
        values: On [-1, 1], (C, *size).
        part: What the model sees of it, scaled to its own size: a range of each axis.
    """

    values: Tensor
    part: tuple[slice, ...]

    @property
    def size(self) -> tuple[int, ...]:
        return tuple(self.values.shape[1:])

    @property
    def seen(self) -> Tensor:
        """The values of that part."""
        return self.values[(slice(None), *self.part)]


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
        """What the data are, as JSON: for configs, reports and error messages.

        ``counted`` says how many there are in words, such as "50 views of 2 objects", where their number would mislead.
        """

    def whole(self) -> "Source":
        """The same signals with all that is known of them, where reading them usually leaves some out."""
        return self


class Display(abc.ABC):
    """A modality's signals outside of training: where they are shown, as pictures, in files, and how they are judged.

    Training calls none of this. `places` and `pictures` are what every modality has to say; the rest has defaults for
    signals that nobody keeps in files of their own, that are known nowhere else, and that have no surface.
    """

    preview: ClassVar[Mapping[str, str]] = {}
    """The request whose place generated signals are shown at, in sheets; if empty, as they were observed."""
    suffix: ClassVar[str] = ".png"
    """What ``inrkit render`` names a file by where no name is given; see `write`."""

    @abc.abstractmethod
    def places(self, request: Mapping[str, str]) -> Sequence[Any]:
        """The ``where`` of each picture that a user asks for, with {"size": "512x512"} or {"orbit": "60"}.

        An empty request means the place of training; `UsageError` for what is not known. For commands and reports.
        """

    @abc.abstractmethod
    def pictures(self, values: Tensor) -> Tensor:
        """Something to look at for values (B, C, ...) of any place: (B, 3, H, W) in [0, 1]; for sheets and figures."""

    def views(self, values: Tensor) -> Tensor:
        """All single pictures (B * V, 3, H, W) that values (B, C, ...) consist of, those of a signal side by side.

        For figures that judge pictures one by one; a signal is one picture unless a modality knows of more.
        """
        return self.pictures(values)

    def read(self, paths: Sequence[Path]) -> tuple[Signals, Sequence[str]]:
        """Signals as a source would read them, and names, from files of the user; for ``encode`` and ``edit``.

        An entry "size" (B, axes), if there is one, is how large each was in its file; `fitting` says what became of it.
        """
        raise UsageError("signals of this modality are not read from files; encode a data set")

    def fitting(self, size: tuple[int, ...]) -> str:
        """What `read` does to a file's signal of this size, such as "32 x 32 from 128 x 128"; "" where it is nothing.

        For people: commands say it.
        """
        return ""

    def remarks(self, signals: Signals) -> Sequence[str]:
        """What of each signal that was `read` is other than the model knows, or was changed; "" where nothing is.

        For people, as `fitting`.
        """
        return [""] * len(next(iter(signals.values())))

    def originals(self, path: Path) -> Sequence[Original]:
        """The signals of a file at its own resolution; for ``edit``, whose results then have that too.

        Empty where there is none: results are then as large as what the model works on.
        """
        return ()

    def write(self, values: Sequence[Tensor], path: Path) -> Path:
        """Saves one signal, a tensor (C, ...) for each place; returns the path. For ``render`` and ``edit``."""
        raise UsageError("signals of this modality are not written to files; export their INRs")

    def depth_values(self, depth: Sequence[Tensor]) -> Sequence[Tensor]:
        """How far away one solid is, (1, ...) for each place as in `Rendered`, as values (C, ...) to be looked at.

        `pictures` and `write` take them like those of signals; for ``--depth``.
        """
        raise UsageError("these signals have no depth; render them without it")

    def reference(self, batch: Batch) -> Observation:
        """What stands for each signal in figures of sets, such as Fréchet distances: by default, all of the query.

        Called by evaluation, with signals as `Modality.observe` gives them. Law: of one shape for all signals.
        """
        return batch.query

    def truth(self, source: Source, numbers: Sequence[int], where: Any) -> Tensor | None:
        """The values (B, C, ...) that these signals of a source have at another place; None where nobody knows.

        For evaluation and reports, to judge what is rendered where nothing was observed.
        """
        return None

    def metrics(self, shown: Tensor, truth: Tensor) -> Mapping[str, Tensor]:
        """How good answers (B, C, ...) are, by name and (B,) each, besides PSNR and SSIM; for ``evaluate``."""
        return {}

    def surface(self, measure: Measure, params: Params) -> Surface | None:
        """The surface of one signal, params (1, ...), in the world's units, for ``export``; None for what has none."""
        return None

    def view(self) -> View | None:
        """How a page shows our signals, for ``export FILE.inr html``; None where it does not know how."""
        return None

    def unwrap(self, inr: Any) -> Any:
        """The INR that is kept of one signal: that of its params, unless those are in turn an INR's of another kind.

        Called, with an `inrkit.InrFile` and for another one, whenever a signal is stored.
        """
        return inr


class Modality(abc.ABC):
    """One kind of signal: what training needs of it, and a `Display` for everything else.

    Args:
        options: An instance of ``Options``, an attrs class whose fields become config keys under ``options``.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    Options: ClassVar[type]
    presets: ClassVar[Mapping[str, Mapping[str, Any]]]
    """Preset name to (partial, nested) config, with a "summary" in a line; the first is the default."""
    known_failures: ClassVar[Mapping[str, str]] = {}
    """Names of checks of `inrkit.testing` that such signals cannot pass, with the reason."""

    def __init__(self, options: Any) -> None:
        self.options = options

    @classmethod
    def sized(cls, size: Size) -> Mapping[str, Any]:
        """The config (partial, nested) of a network of this size and of its training; it wins over a preset."""
        options = {name: value for name, value in size.options().items() if name in attrs.fields_dict(cls.Options)}
        if "width" not in options:
            raise UsageError(f"the modality '{cls.name}' has no networks by size; set the options that it has instead")
        return {**size.training(), "options": options}

    @abc.abstractmethod
    def source(self, data: Path | None, split: str) -> Source:
        """The signals of ``split`` ("train" or "test"): from a store, or embedded when ``data`` is None.

        Called when a run begins and when a model is evaluated.
        """

    @abc.abstractmethod
    def fit_options(self, source: Source) -> Any:
        """Our options with all that was left open (None) taken from the data; an error where they contradict it.

        Called once, when a run's config is completed; from then on the modality has these options.
        """

    @abc.abstractmethod
    def measure(self, readout: Readout) -> Measure:
        """All of a pipeline but its denoiser: a new function, the transform, preconditioning, and the read-out.

        Called by `build`, and when an INR file is opened, which needs no more.
        """

    @abc.abstractmethod
    def denoiser(self, measure: Measure) -> Denoiser:
        """A new, untrained denoiser that makes params for what we measure; for `build`."""

    def build(self, readout: Readout) -> Pipeline:
        """A new, untrained pipeline, when training begins and when weights are loaded.

        Chance comes from torch's global generator, which the caller has seeded.
        """
        measure = self.measure(readout)
        return Pipeline(self.denoiser(measure), measure)

    @abc.abstractmethod
    def observe(self, signals: Signals, draws: Draws, *, training: bool) -> Batch:
        """Support and query observations of raw signals; with augmentation and subsampling only in training.

        Called in every step, and whenever signals are encoded, edited or evaluated.
        """

    @abc.abstractmethod
    def template(self, rows: int) -> Observation:
        """Where generated signals are observed, with values that mean nothing, in the shape of the sampler's noise."""

    @property
    @abc.abstractmethod
    def display(self) -> Display:
        """How signals are shown, read, written and judged. A class may be both, and return itself."""
