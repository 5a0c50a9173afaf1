"""A loss that grows although every number is finite ends a run early, and says what to change."""

import json
import re
from pathlib import Path

import pytest
import torch
from toy_run import train_toy

from inrkit import Inrct, Phase, RunConfig, SigmoidPairing
from inrkit.config.phases import ScheduledPhase, schedule_phases
from inrkit.errors import DivergedError
from inrkit.training.divergence import LossWatch


def phase_of(stages: int, steps: int = 400) -> ScheduledPhase:
    options = {"curriculum": {"stages": stages}}
    (phase,) = schedule_phases(RunConfig(modality="toy", steps=steps, warmup_share=0.0, objective_options=options))
    assert phase.objective == Inrct(curriculum=SigmoidPairing(stages=stages))
    return phase


def reports(losses: list[float], stages: int = 1) -> list[int]:
    """The steps at which something is found wrong."""
    watch, phase = LossWatch(), phase_of(stages)
    values = ({"loss": x, "loss/gene": 0.9 * x, "loss/recon": 0.1, "norm": 10 * x} for x in losses)
    return [step for step, each in enumerate(values) if watch.see(phase, step, each)]


def test_heavy_tails_are_no_divergence() -> None:
    """Means over a batch of 8 of log-normal weights, falling slowly."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        weights = torch.exp(2 * torch.randn(400, 8, generator=generator) + 1).mean(1)
        assert reports((weights * torch.linspace(1, 0.5, 400)).tolist()) == []


def test_a_harder_stage_may_have_a_larger_loss() -> None:
    """A hundred times as large from one stage to the next."""
    assert reports([100.0 ** (step // 100) for step in range(400)], stages=4) == []


def test_a_loss_that_stays_large_is_reported() -> None:
    """From when half of the last thirty losses are above ten times the first ones; one that comes back is not."""
    assert reports([1.0] * 100 + [11.0] * 50)[0] == 100 + 15
    assert reports([1.0] * 100 + [400.0] * 14 + [1.0] * 50) == []


def test_distillation_begins_almost_without_a_loss() -> None:
    """Its student has the weights of its teacher, and what it loses is no divergence."""
    phases = (Phase("diffusion", 0.5), Phase("cd", 0.5))
    (_, phase), watch = schedule_phases(RunConfig(modality="toy", steps=400, phases=phases)), LossWatch()
    assert not any(watch.see(phase, 200 + step, {"loss": 0.1 * 1.1**step, "norm": 1.0}) for step in range(100))


def test_a_watch_goes_on_from_its_state() -> None:
    """As what a checkpoint holds."""
    phase, watch = phase_of(1), LossWatch()
    losses = [{"loss": 1.0 if step < 60 else 15.0, "norm": 1.0} for step in range(100)]
    for step in range(70):
        assert not watch.see(phase, step, losses[step])
    again = LossWatch()
    again.load(json.loads(json.dumps(watch.state())))
    assert [bool(watch.see(phase, step, losses[step])) for step in range(70, 100)] == [
        bool(again.see(phase, step, losses[step])) for step in range(70, 100)
    ]


SEVERE = {"lr": 3.0, "optimizer": "adamw", "steps": 80, "warmup": 50, "warmup_share": 0.0, "save_every": 40}
ONE_STAGE = {"curriculum": {"stages": 1}, "lambda_recon": 1.0}


def test_a_rate_that_is_too_high_stops_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the exit code of divergence and the setting to change; or it is said once, and the run goes on."""
    found = r"step \d\d: the loss diverges: .* times as large .*try a lower 'lr' \(now 3\)"
    with pytest.raises(DivergedError, match=found) as error:
        train_toy(tmp_path, **SEVERE, objective_options=ONE_STAGE)
    assert error.value.exit_code == 5
    model = train_toy(tmp_path, **SEVERE, objective_options=ONE_STAGE, divergence="warn", progress=True)
    assert model.step == 80
    assert capsys.readouterr().err.count("the loss diverges") == 1


@pytest.mark.parametrize("norm", [1e3, 1e6])
def test_a_gradient_that_grows_without_the_loss_is_reported(norm: float) -> None:
    """From when half of the last thirty norms are above a thousand times those that the phase began with."""
    watch, phase = LossWatch(), phase_of(4)
    steps = ({"loss": 1.0, "loss/gene": 1.0, "norm": 2.0 if step < 150 else norm} for step in range(400))
    told = [watch.see(phase, step, each) for step, each in enumerate(steps)]
    assert [step for step, text in enumerate(told) if text][:1] == ([] if norm < 2e3 else [150 + 14])
    assert norm < 2e3 or "the gradient diverges, though the loss does not" in told[164]


def test_encodings_that_are_all_alike_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run that learns nothing says so with the settings to change; one that learns encodes most of the variance."""
    common = {"steps": 240, "sample_every": 240, "schedule": "constant", "warmup": 0}
    train_toy(tmp_path / "still", **common, lr=1e-9, progress=True)
    said = capsys.readouterr()
    assert re.search(
        r"step 240: encodings of held-out signals are nearly the same.*'lr' \(now 1e-09\)", said.out + said.err
    )
    train_toy(tmp_path / "good", **common, lr=2e-3, progress=True)
    said = capsys.readouterr()
    assert "nearly the same" not in said.out + said.err
    lines = [json.loads(line) for line in (tmp_path / "good/metrics.jsonl").read_text().splitlines()]
    (spread,) = (line["heldout/variance_ratio"] for line in lines if "heldout/variance_ratio" in line)
    assert 0.3 < spread < 1.5
