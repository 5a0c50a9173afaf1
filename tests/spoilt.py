"""One modality that keeps every law, and for each law the same modality spoilt so that it breaks that one."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, final

import attrs
import torch
from torch import Tensor, nn

from inrkit import (
    Augmentation,
    Batch,
    DataError,
    Denoiser,
    DirectReadout,
    Draws,
    Field,
    Grid,
    GridModality,
    GridObservation,
    GridOptions,
    Importer,
    Level,
    Observation,
    Params,
    Pipeline,
    Progress,
    Readout,
    SampleGrid,
    Signals,
    Source,
    StoreWriter,
    Surface,
    Transform,
)

GRID: dict[str, Any] = {"width": 16, "heads": 2, "hidden": 16, "depth": 1, "decoder_depth": 1, "count": 40}


class Waves(GridModality):
    """Waves on a line."""

    name, summary, axes = "waves", "waves on a line", 1

    def invent(self, chance: torch.Generator) -> Callable[[Tensor], Tensor]:
        frequency, phase = torch.rand(2, generator=chance)
        return lambda x: torch.sin(3 * (1 + frequency) * x + 2 * math.pi * phase)


def spoilt(**members: Any) -> type[GridModality]:
    """The same modality with other members."""
    return type("Spoilt", (Waves,), {"__doc__": "Waves.", **members})


# ---------------------------------------------------------------------------------------------- options


@final
@attrs.frozen
class Undocumented(GridOptions):
    """One option too many."""

    secret: int = 0


@final
@attrs.frozen
class Growing(GridOptions):
    """An option that is another one whenever it is read."""

    age: int = attrs.field(default=0, converter=lambda years: years + 1, metadata={"help": "years"})


def growing(self: GridModality, source: Source) -> GridOptions:
    found = GridModality.fit_options(self, source)
    return attrs.evolve(found, count=found.count + 1)


# ---------------------------------------------------------------------------------------------- sources


class Wrapped(Source):
    """Another source, spoilt."""

    def __init__(self, inner: Source) -> None:
        self.inner = inner

    def __len__(self) -> int:
        return len(self.inner)

    def read(self, numbers: Sequence[int]) -> Signals:
        return self.inner.read(numbers)

    @property
    def facts(self) -> Mapping[str, Any]:
        return self.inner.facts


class OneRow(Wrapped):
    def read(self, numbers: Sequence[int]) -> Signals:
        return self.inner.read(numbers[:1])


class ByPlace(Wrapped):
    def read(self, numbers: Sequence[int]) -> Signals:
        values = self.inner.read(numbers)["values"]
        return {"values": values + torch.arange(len(values))[:, None, None] / 10}


class Unsendable(Wrapped):
    def __init__(self, inner: Source) -> None:
        super().__init__(inner)
        self.open = lambda: inner


class OddFacts(Wrapped):
    @property
    def facts(self) -> Mapping[str, Any]:
        return {**self.inner.facts, "path": Path()}


def through(kind: type[Wrapped]) -> Callable[[GridModality, Path | None, str], Source]:
    return lambda self, data, split: kind(GridModality.source(self, data, split))


@attrs.frozen
class NoOptions:
    """Nothing to set."""


@attrs.frozen
class Silent:
    """An option without a help text."""

    secret: int = 0


class Greedy(Importer):
    """Takes anything for a signal."""

    name, summary, modality, Options = "odd", "anything", "waves", NoOptions

    def run(self, source: Path, out: StoreWriter, options: Any, progress: Progress) -> None:
        out.append({"values": torch.zeros(20, 1, 64)})


class Boastful(Greedy):
    """Says that it has done more than there is."""

    def run(self, source: Path, out: StoreWriter, options: Any, progress: Progress) -> None:
        progress(3, 2)
        Greedy.run(self, source, out, options, progress)


class Mute(Greedy):
    """Does not say what can be set."""

    Options = Silent


class Stubborn(Greedy):
    """Refuses everything."""

    def run(self, source: Path, out: StoreWriter, options: Any, progress: Progress) -> None:
        raise DataError("expected something else")


# ---------------------------------------------------------------------------------------------- observations


@attrs.frozen(eq=False)
class Elsewhere(GridObservation):
    """Is measured in another place when it has other values."""

    def with_values(self, values: Tensor) -> Self:
        return attrs.evolve(self, values=values, where=Grid(self.where.size))


@attrs.frozen(eq=False)
class Quiet(GridObservation):
    """Shares no noise."""

    def share_noise(self, noise: Tensor, query: Observation, draws: Draws) -> Tensor:
        return torch.zeros_like(query.values)


@attrs.frozen(eq=False)
class Whole(GridObservation):
    """Is always all rows."""

    def rows(self, index: Tensor | slice) -> Self:
        return self


@attrs.frozen(eq=False)
class Rooted(GridObservation):
    """Stays on its device."""

    def to(self, device: torch.device | str) -> Self:
        return self


def seen_as(kind: type[GridObservation]) -> Callable[..., Batch]:
    def observe(self: GridModality, signals: Signals, draws: Draws, *, training: bool) -> Batch:
        found = GridModality.observe(self, signals, draws, training=training)
        return Batch(*(kind(seen.values, seen.where) for seen in (found.support, found.query)))

    return observe


def observed(change: Callable[[Batch], Batch]) -> Callable[..., Batch]:
    return lambda self, signals, draws, *, training: change(
        GridModality.observe(self, signals, draws, training=training)
    )


def in_double(batch: Batch) -> Batch:
    return Batch(*(seen.with_values(seen.values.double()) for seen in (batch.support, batch.query)))


@final
class Spoils(Augmentation):
    """Changes values, and says nothing of it."""

    labels = 0

    def __init__(self, change: Callable[[Tensor], Tensor]) -> None:
        self.change = change

    def draw(self, values: Tensor, draws: Draws) -> Tensor:
        return values.new_zeros(len(values), 0)

    def apply(self, values: Tensor, amounts: Tensor) -> Tensor:
        return self.change(values)


def augmented(change: Callable[[Tensor], Tensor]) -> dict[str, Any]:
    return {"augmentations": lambda self: [Spoils(change)]}


def by_place_in_the_batch(values: Tensor) -> Tensor:
    return values + torch.arange(len(values))[:, None, None]


def by_global_chance(values: Tensor) -> Tensor:
    return values + torch.rand(())


# ---------------------------------------------------------------------------------------------- networks


@final
class Nosy(Denoiser):
    """Changes what another denoiser wrote."""

    def __init__(self, inner: Denoiser, change: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.inner, self.change = inner, change

    def forward(self, observation: Any, level: Level, label: Tensor | None = None) -> Params:
        params = self.inner(observation, level, label)
        return {name: self.change(value) for name, value in params.items()}


def built(change: Callable[[Pipeline], Any]) -> Callable[[GridModality, Readout], Pipeline]:
    def build(self: GridModality, readout: Readout) -> Pipeline:
        whole = GridModality.build(self, readout)
        change(whole)
        return whole

    return build


def nosy(change: Callable[[Tensor], Tensor]) -> Callable[[GridModality, Readout], Pipeline]:
    return built(lambda whole: setattr(whole, "denoiser", Nosy(whole.denoiser, change)))


def one_headed(self: GridModality, readout: Readout) -> Pipeline:
    whole = GridModality.build(self, DirectReadout())
    whole.readout = readout
    return whole


_numbers = itertools.count()


def numbered(whole: Pipeline) -> None:
    whole.denoiser.number = nn.Parameter(torch.full((1,), float(next(_numbers))))


@final
class Changed(Transform):
    """Changes what is measured."""

    def __init__(self, change: Callable[[Tensor], Tensor]) -> None:
        self.change = change

    def __call__(self, field: Field, where: Any) -> Tensor:
        return self.change(SampleGrid()(field, where))


def measured(change: Callable[[Tensor], Tensor]) -> Callable[[GridModality, Readout], Pipeline]:
    return built(lambda whole: setattr(whole, "transform", Changed(change)))


def shifted_by_chance(whole: Pipeline) -> None:
    shift = torch.rand(())
    whole.transform = Changed(lambda values: values + shift)


def looking_at_values(whole: Pipeline) -> None:
    forward = whole.function.forward
    whole.function.forward = lambda params, coords: forward(params, coords) if float(coords.sum()) else coords


def squared_in_glsl(whole: Pipeline) -> None:
    glsl = whole.function.glsl
    whole.function.glsl = lambda params: glsl({name: value**2 for name, value in params.items()})


# ---------------------------------------------------------------------------------------------- which law each breaks

SPOILT: dict[str, dict[str, Any]] = {
    "says_what_it_is": {"summary": "A sentence."},
    "options_are_documented": {"Options": Undocumented},
    "options_survive_a_config_file": {"Options": Growing},
    "fitting_is_complete": {"fit_options": growing},
    "presets_are_valid": {"presets": {"odd": {"stpes": 3}}},
    "both_splits_have_signals": {"source": lambda self, data, split: GridModality.source(self, data, "train")},
    "signals_have_rows_first": {"source": through(OneRow)},
    "signals_depend_on_their_number_alone": {"source": through(ByPlace)},
    "reading_leaves_chance_alone": augmented(by_global_chance),
    "sources_can_be_sent_to_workers": {"source": through(Unsendable)},
    "facts_are_plain": {"source": through(OddFacts)},
    "foreign_data_are_refused": {"source": lambda self, data, split: GridModality.source(self, None, split)},
    "foreign_files_are_refused": {"decode": lambda self, data, name: torch.zeros(1, 64)},
    "observations_have_rows_and_channels": {"observe": observed(in_double)},
    "values_are_scaled": {"values_of": lambda self, stored: stored * 1000},
    "labels_are_numbers_of_classes": {
        "observe": observed(lambda batch: Batch(batch.support, batch.query, torch.rand(len(batch))))
    },
    "observing_depends_on_the_seed_alone": augmented(by_global_chance),
    "observing_in_parts_is_the_same": augmented(by_place_in_the_batch),
    "observing_leaves_signals_alone": augmented(lambda values: values.mul_(0.5)),
    "noise_touches_values_alone": {"observe": seen_as(Elsewhere)},
    "noise_is_shared": {"observe": seen_as(Quiet)},
    "rows_can_be_chosen": {"observe": seen_as(Whole)},
    "observations_can_be_moved": {"observe": seen_as(Rooted)},
    "the_template_is_like_the_support": {
        "template": lambda self, rows: self.on_grid(torch.zeros(1, self.channels, *self.size))
    },
    "sets_are_compared_by_equal_measurements": {"reference": lambda self, batch: batch.query.rows(slice(0, 1))},
    "param_shapes_are_honest": {"build": nosy(lambda value: value[..., :-1])},
    "predictions_are_like_the_query": {"build": measured(lambda values: values.repeat(1, 2, 1))},
    "every_noise_level_is_finite": {"build": nosy(lambda value: value * math.inf)},
    "encoding_is_finite_and_repeatable": {"build": nosy(lambda value: value + torch.rand(()))},
    "rows_are_independent": {"build": nosy(lambda value: value + value.mean(0))},
    "gradients_reach_every_parameter": {
        "build": built(lambda whole: setattr(whole.denoiser, "idle", nn.Parameter(torch.zeros(1))))
    },
    "equal_seeds_build_equal_networks": {"build": built(numbered)},
    "half_precision_gives_whole_results": {
        "build": nosy(lambda value: value.bfloat16() if torch.is_autocast_enabled("cpu") else value)
    },
    "readouts_agree": {"build": one_headed},
    "signals_are_shown_where_training_was": {"places": lambda self, request: []},
    "signals_are_shown_elsewhere": {"places": lambda self, request: [Grid(self.query_size)]},
    "unknown_requests_are_refused": {"places": lambda self, request: [Grid(self.query_size)]},
    "showing_without_gradients_is_the_same": {
        "build": measured(lambda values: values if torch.is_grad_enabled() else values + 1)
    },
    "params_have_gradients": {"build": measured(lambda values: values * math.inf)},
    "there_are_pictures_for_reports": {"pictures": lambda self, values: values[:, None].expand(-1, 3, 4, -1) * 2},
    "truth_is_what_was_observed": {
        "truth": lambda self, *asked: -GridModality.truth(self, *asked)  # type: ignore[operator]
    },
    "surfaces_are_measured": {
        "surface": lambda self, pipeline, params: Surface(lambda points: points, 0.0, (0.0,) * 3, (1.0,) * 3)
    },
    "inr_files_render_alone": {"build": built(shifted_by_chance)},
    "signals_are_written": {"write": lambda self, values, path: path},
    "what_is_written_can_be_read": {"decode": lambda self, data, name: torch.zeros(1, 64)},
    "a_tiny_run_learns": {"build": measured(lambda values: values * 0)},
    "samples_are_finite_and_seeded": {"build": nosy(torch.zeros_like)},
    "sampling_in_steps_is_finite": {"build": measured(lambda values: values * math.nan)},
    "training_stays_on_its_device": augmented(lambda values: values + torch.rand(len(values), 1, 1)),
    "functions_can_be_exported": {"build": built(looking_at_values)},
    "shaders_are_well_formed": {"build": built(squared_in_glsl)},
    "a_model_stays_on_its_device": {"build": measured(lambda values: values + torch.zeros(values.shape[1:]))},
}

IMPORTERS: dict[str, str] = {
    "importers_refuse_garbage": "Greedy",
    "importers_are_documented": "Mute",
    "imports_what_it_writes": "Stubborn",
    "importers_say_how_far_they_are": "Boastful",
}

MODULES: dict[str, str] = {
    "uses_public_names_only": "from inrkit.core.draws import Draws",
    "opens_no_pickle": "import pickle",
    "loading_leaves_the_program_alone": "import sys; sys.stderr.write('careful')",
}
