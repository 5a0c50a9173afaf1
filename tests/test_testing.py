"""The conformance kit: our own plugins pass it, and each law can be broken and is then found to be."""

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, final

import attrs
import pytest
import torch
from torch import Tensor, nn

import inrkit
from inrkit import (
    Batch,
    Denoiser,
    Draws,
    Grid,
    GridModality,
    GridOptions,
    Params,
    Pipeline,
    Readout,
    Signals,
    Source,
    UsageError,
)
from inrkit.testing import CHECKS, Case, NotAskedError, Result, Subject, UnmetError, cases_of, checks_of, run

GRID: dict[str, Any] = {"width": 16, "heads": 2, "hidden": 16, "depth": 1, "decoder_depth": 1, "count": 40}
IMAGE = {**GRID, "size": [16, 16], "inr_width": 16, "inr_inner": 16}
NETWORK = {"patch": 16, "width": 16, "depth": 1, "heads": 2, "hidden": 32}
NERF = {
    **GRID,
    "count": 8,
    "size": [16, 16],
    "object_views": 3,
    "query_views": 1,
    "query_rays": 8,
    "samples": 4,
    "render_samples": 4,
    "groups": 1,
    "function_options": {"width": 16},
}
FOLDER = tempfile.TemporaryDirectory()


@pytest.fixture(scope="module", autouse=True)
def _tidy() -> Iterator[None]:
    yield
    FOLDER.cleanup()


def params_file() -> Path:
    """What a hardly trained run of another modality encodes: the data of the two-stage one."""
    quiet: dict[str, Any] = {"progress": False, "on_sample": lambda *_: None, "on_end": lambda *_: None}
    values: dict[str, Any] = {"steps": 1, "batch_size": 4, "device": "cpu", "precision": "fp32"}
    model = inrkit.train(modality="image", out=Path(FOLDER.name) / "first", options=IMAGE, **values, **quiet)
    return inrkit.encode_set(model, None, Path(FOLDER.name) / "params.h5", limit=24)


# ---------------------------------------------------------------------------------------------- our own plugins


@pytest.mark.parametrize("check", checks_of("image", options=IMAGE))
def test_the_image_plugin_keeps_every_law(check: Case) -> None:
    """Without an exception."""
    check()


@pytest.mark.parametrize("check", checks_of("nerf", options=NERF, request={"size": "8", "orbit": "2"}))
def test_the_nerf_plugin_keeps_every_law(check: Case) -> None:
    """But for one, which it names."""
    check()


@pytest.mark.parametrize(
    "check", checks_of("params", options={"denoiser_options": NETWORK}, data=params_file, request={"size": "24"})
)
def test_the_params_plugin_keeps_every_law(check: Case) -> None:
    """But for what only the first stage could, which it names."""
    check()


# ---------------------------------------------------------------------------------------------- a good one, spoilt


class Waves(GridModality):
    """Waves on a line."""

    name, summary, axes = "waves", "waves on a line", 1

    def invent(self, chance: torch.Generator) -> Callable[[Tensor], Tensor]:
        frequency, phase = torch.rand(2, generator=chance)
        return lambda x: torch.sin(3 * (1 + frequency) * x + 2 * math.pi * phase)


def spoilt(**members: Any) -> type[GridModality]:
    """The same modality with other members."""
    return type("Spoilt", (Waves,), {"__doc__": "Waves.", **members})


@final
@attrs.frozen
class Undocumented(GridOptions):
    """One option too many."""

    secret: int = 0


@final
class Nosy(Denoiser):
    """Mixes rows, or spoils what another denoiser wrote in some other way."""

    def __init__(self, inner: Denoiser, change: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.inner, self.change = inner, change

    def forward(self, observation: Any, noise_level: Tensor, label: Tensor | None = None) -> Params:
        params = self.inner(observation, noise_level, label)
        return {name: self.change(value) for name, value in params.items()}


def nosy(change: Callable[[Tensor], Tensor]) -> Callable[[GridModality, Readout], Pipeline]:
    def build(self: GridModality, readout: Readout) -> Pipeline:
        whole = GridModality.build(self, readout)
        whole.denoiser = Nosy(whole.denoiser, change)
        return whole

    return build


def idle(self: GridModality, readout: Readout) -> Pipeline:
    """A weight that nothing uses."""
    whole = GridModality.build(self, readout)
    whole.denoiser.idle = nn.Parameter(torch.zeros(1))
    return whole


def drawn_globally(self: GridModality, values: Tensor, draws: Draws) -> Tensor:
    return values + torch.rand(())


def by_place_in_the_batch(self: GridModality, values: Tensor, draws: Draws) -> Tensor:
    return values + torch.arange(len(values))[:, None, None]


def in_place(self: GridModality, values: Tensor, draws: Draws) -> Tensor:
    return values.mul_(0.5)


def same_for_both(self: GridModality, data: Path | None, split: str) -> Source:
    return GridModality.source(self, data, "train")


def anything(self: GridModality, request: Mapping[str, str]) -> Sequence[Grid]:
    return [Grid(self.query_size)]


def wild(self: GridModality, signals: Signals, draws: Draws, *, training: bool) -> Batch:
    return GridModality.observe(self, {"values": signals["values"] * 1000}, draws, training=training)


SPOILT: dict[str, dict[str, Any]] = {
    "says_what_it_is": {"summary": "A sentence."},
    "options_are_documented": {"Options": Undocumented},
    "presets_are_valid": {"presets": {"odd": {"stpes": 3}}},
    "both_splits_have_signals": {"source": same_for_both},
    "reading_leaves_chance_alone": {"augmented": drawn_globally},
    "observing_depends_on_the_seed_alone": {"augmented": drawn_globally},
    "observing_in_parts_is_the_same": {"augmented": by_place_in_the_batch},
    "observing_leaves_signals_alone": {"augmented": in_place},
    "values_are_scaled": {"observe": wild},
    "the_template_is_like_the_support": {
        "template": lambda self, rows: self.on_grid(torch.zeros(1, self.channels, *self.size))
    },
    "rows_are_independent": {"build": nosy(lambda value: value + value.mean(0))},
    "param_shapes_are_honest": {"build": nosy(lambda value: value[..., :-1])},
    "every_noise_level_is_finite": {"build": nosy(lambda value: value * math.inf)},
    "gradients_reach_every_parameter": {"build": idle},
    "signals_are_shown_elsewhere": {"places": anything},
    "unknown_requests_are_refused": {"places": anything},
    "there_are_pictures_for_reports": {"pictures": lambda self, values: values[:, None].expand(-1, 3, 4, -1) * 2},
    "signals_are_written": {"write": lambda self, values, path: path},
    "truth_is_what_was_observed": {
        "truth": lambda self, *asked: -GridModality.truth(self, *asked)  # type: ignore[operator]
    },
    "foreign_files_are_refused": {"load": lambda self, path: torch.zeros(1, 64)},
    "what_is_written_can_be_read": {"load": lambda self, path: torch.zeros(1, 64)},
    "samples_are_finite_and_seeded": {"build": nosy(torch.zeros_like)},
}


def outcome(modality: type[GridModality], name: str) -> Result:
    """Of one check."""
    case = next(case for case in cases_of(modality, options=GRID, suffix=".npy") if case.name == name)
    return case.result()


def test_a_declared_modality_keeps_every_law() -> None:
    """A dozen lines on top of the shared pieces; what speaks of a plugin is not asked of a class."""
    results = list(run(Waves, options=GRID, suffix=".npy"))
    assert not [(result.name, result.reason) for result in results if not result.fine]
    assert len([result for result in results if result.state == "passed"]) > 40


@pytest.mark.parametrize("name", SPOILT)
def test_a_law_that_is_broken_is_found_to_be(name: str) -> None:
    """The check of that name fails, and says in one line what it expected."""
    result = outcome(spoilt(**SPOILT[name]), name)
    assert result.state == "failed", name
    assert "expected" in result.reason
    assert "\n" not in result.reason


# ---------------------------------------------------------------------------------------------- the kit itself


def test_there_are_many_small_checks_each_with_a_law() -> None:
    """A name, and one sentence."""
    assert len(CHECKS) >= 25
    for name, check in CHECKS.items():
        assert check.law.endswith("."), name


def test_expected_failures_are_named_with_a_reason_and_must_fail() -> None:
    """One that passes all the same is a surprise, which somebody has to look at."""
    expected = {"says_what_it_is": "no time for it", "presets_are_valid": "none"}
    how = {"options": GRID, "expected_failures": expected}
    found = {result.name: result for result in run(spoilt(summary=""), **how)}
    assert (found["says_what_it_is"].state, found["says_what_it_is"].reason) == ("expected", "no time for it")
    assert found["says_what_it_is"].fine
    assert found["presets_are_valid"].state == "surprise"
    assert not found["presets_are_valid"].fine
    odd = next(case for case in cases_of(Waves, **how) if case.name == "presets_are_valid")
    with pytest.raises(UnmetError, match="found that it passes"):
        odd()
    with pytest.raises(UsageError, match="no check named 'sings'"):
        checks_of("image", expected_failures={"sings": "-"})


def test_whatever_a_modality_does_the_other_checks_are_made() -> None:
    """Even one that cannot be built, or ends the program, gets a result for each check."""

    def leave(self: GridModality, readout: Readout) -> Pipeline:
        raise SystemExit(3)

    results = list(run(spoilt(build=leave), options=GRID))
    assert len(results) == len(CHECKS)
    reasons = {result.name: result.reason for result in results}
    assert reasons["rows_are_independent"] == "it called sys.exit(3)"
    assert reasons["says_what_it_is"] == ""


def test_a_law_that_says_nothing_here_is_skipped() -> None:
    """With its reason."""
    case = next(case for case in cases_of(Waves, options=GRID) if case.name == "surfaces_are_measured")
    with pytest.raises(NotAskedError, match="no surface"):
        case.check.function(case.subject)
    with pytest.raises(pytest.skip.Exception, match="no surface"):
        case()


def test_checks_of_a_name_that_is_not_installed_fail_with_the_reason() -> None:
    """Collecting them asks for nothing yet."""
    with pytest.raises(UsageError, match="no modality named 'imgae'"):
        checks_of("imgae")[0].values[0]()
    assert Subject("imgae").name == "imgae"
