"""A gradient that comes from one loss or one span of noise levels alone is told once, with the setting to change."""

import pytest

from inrkit.config.phases import ScheduledPhase, schedule_phases
from inrkit.config.resolve import resolve
from inrkit.training.lopsided import LONG, ShareWatch


@pytest.fixture
def phase() -> ScheduledPhase:
    """The last phase of a run of inrct."""
    return schedule_phases(resolve("image").config)[-1]


@pytest.mark.parametrize(
    ("norms", "who", "setting"),
    [
        ({"gene/1-3": 60.0, "gene/0-0.1": 39.0, "recon/clean": 1.0}, "the loss 'gene'", "'lambda_recon' (now "),
        ({"gene/1-3": 60.0, "recon/1-3": 39.0, "recon/clean": 1.0}, "noise levels 1-3", "'weight_gene' (now "),
    ],
)
def test_what_has_nearly_all_of_the_gradient_for_long_is_told_once(
    norms: dict[str, float], who: str, setting: str, phase: ScheduledPhase
) -> None:
    """After some measurements in a row, not before, and never again in this phase."""
    watch = ShareWatch()
    assert [watch.see(phase, norms) for _ in range(LONG - 1)] == [""] * (LONG - 1)
    told = watch.see(phase, norms)
    assert f"99.0% of the gradient comes from {who}" in told
    assert setting in told
    assert [watch.see(phase, norms) for _ in range(2 * LONG)] == [""] * 2 * LONG


def test_one_measurement_between_begins_the_count_anew(phase: ScheduledPhase) -> None:
    """Early steps of a stage may well be lopsided."""
    watch, alone = ShareWatch(), {"gene/1-3": 60.0, "gene/0-0.1": 39.0, "recon/clean": 1.0}
    for _ in range(3):
        assert [watch.see(phase, alone) for _ in range(LONG - 1)] == [""] * (LONG - 1)
        assert watch.see(phase, {**alone, "recon/clean": 50.0}) == ""


def test_a_phase_of_one_loss_is_no_finding(phase: ScheduledPhase) -> None:
    """Reconstruction alone has nothing beside it."""
    watch = ShareWatch()
    assert not any(watch.see(phase, {"recon/clean": 1.0}) for _ in range(2 * LONG))
