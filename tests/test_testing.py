"""The conformance kit: our own plugins pass it, and what becomes of failures, expected or not."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from spoilt import GRID, Waves, spoilt

import inrkit
from inrkit import GridModality, Pipeline, Readout, UsageError
from inrkit.testing import CHECKS, Case, NotAskedError, Subject, UnmetError, cases_of, checks_of, run

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


UNET = {"function": "grid", "denoiser": "unet", "denoiser_options": {"width": 8, "blocks": 1}}
PARTS: dict[str, dict[str, Any]] = {
    "grid and unet": UNET,
    "mlp": {"function": "mlp", "function_options": {"width": 16}, "groups": 1},
    "labels": {"classes": 8},
}


@pytest.mark.parametrize("parts", PARTS)
def test_functions_and_denoisers_are_checked_through_a_modality(parts: str) -> None:
    """Whoever offers one names it in the options of a modality that takes it, and every law is checked with it."""
    cases = cases_of("image", options={**IMAGE, **PARTS[parts]})
    results = [case.result() for case in cases if case.name != "a_tiny_run_learns" and "import" not in case.name]
    assert not [(result.name, result.reason) for result in results if not result.fine]


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
