"""Numbers that are not finite stop a run at once, by name, and never reach a checkpoint."""

import copy
import json
from pathlib import Path

import pytest
import torch
from toy_run import fingerprint, train_toy

from inrkit.config.phases import ScheduledPhase
from inrkit.core.objective.weighting import WEIGHTINGS
from inrkit.core.pipeline import Pipeline
from inrkit.errors import DivergedError
from inrkit.evaluation.reconstruction import Score
from inrkit.storage.checkpoint import list_checkpoints
from inrkit.training.learner import Learner
from inrkit.training.teachers import Teachers


def step_of_signal(number: int) -> int:
    """The step (from 0) of the default toy run in which this signal is first seen."""
    from inrkit.training.order import Order

    order = Order(48, 8, 0)
    return next(step for step in range(20) if number in order.numbers(step))


def late_signal() -> int:
    return max(range(48), key=step_of_signal)


def test_a_bad_batch_is_named(tmp_path: Path) -> None:
    """The batch is the cause; loss and gradient are only what follows from it. Nothing is written afterwards."""
    bad = late_signal()
    with pytest.raises(DivergedError, match=rf"step {step_of_signal(bad)}: batch 'support 0' has 16 of 128") as error:
        train_toy(tmp_path, options={"bad": bad})
    assert error.value.exit_code == 5
    assert [path.name for path in list_checkpoints(tmp_path / "checkpoints")] == ["step-00000005"]


def test_skip_counts_and_goes_on(tmp_path: Path) -> None:
    """``nan = "skip"`` leaves the weights as they were in that step, and says how often."""
    bad = late_signal()
    model = train_toy(tmp_path, options={"bad": bad}, nan="skip")
    assert model.step == 20
    assert all(torch.isfinite(p).all() for p in model.pipeline.parameters())
    assert f"'skipped': {20 * 8 // 48}" in fingerprint(tmp_path)["state"]
    assert '"skipped": 3}' in (tmp_path / "metrics.jsonl").read_text().splitlines()[-2]


def spoil(monkeypatch: pytest.MonkeyPatch, at: int, how) -> None:
    """Does something to the learner before a step."""
    learn = Learner.learn

    def spoiled(self: Learner, *args: object, **kwargs: object) -> object:
        if self.step == at:
            how(self)
        return learn(self, *args, **kwargs)

    monkeypatch.setattr(Learner, "learn", spoiled)


def test_a_bad_weight_is_named_even_when_skipping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights that are not finite never recover."""
    spoil(monkeypatch, 7, lambda learner: learner.pipeline.function.scale.data.fill_(float("nan")))
    with pytest.raises(DivergedError, match=r"step 7: weight 'function\.scale' has 1 of 1"):
        train_toy(tmp_path, nan="skip")


def spoil_teacher(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """The teacher of one step is not finite, while the student's weights are."""
    choose = Teachers.__call__

    def spoilt(self: Teachers, phase: ScheduledPhase, step: int, student: Pipeline) -> Pipeline:
        if step != at:
            return choose(self, phase, step, student)
        teacher = copy.deepcopy(student)
        teacher.get_parameter("function.scale").data.fill_(float("nan"))
        return teacher

    monkeypatch.setattr(Teachers, "__call__", spoilt)


def test_a_bad_teacher_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its NaN does not become a target of 0 in silence."""
    spoil_teacher(monkeypatch, 13)
    with pytest.raises(DivergedError, match=r"step 13: the teacher's output 'target 0' has \d+ of 128 values"):
        train_toy(tmp_path)


def test_a_bad_teacher_can_be_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As any step that is not finite."""
    spoil_teacher(monkeypatch, 13)
    assert train_toy(tmp_path, nan="skip").step == 20
    assert '"skipped": 1}' in (tmp_path / "metrics.jsonl").read_text().splitlines()[-2]


def test_a_bad_gradient_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one tensor that is wrong, not all that the norm would spoil."""

    def hook(learner: Learner) -> None:
        learner.pipeline.denoiser.condition.level[0].weight.register_hook(lambda grad: grad * float("inf"))

    spoil(monkeypatch, 3, hook)
    with pytest.raises(DivergedError, match=r"step 3: gradient 'denoiser\.condition\.level\.0\.weight'"):
        train_toy(tmp_path)


def test_a_bad_loss_term_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batch and weights are fine, the loss is not."""
    broken = {**WEIGHTINGS, "1/(t-r)": lambda t, r, sigma: 1 / (t - t)}
    monkeypatch.setattr("inrkit.core.objective.inrct.WEIGHTINGS", broken)
    with pytest.raises(DivergedError, match=r"step 2: loss term '(total|gene)'"):
        train_toy(tmp_path)


def test_a_broken_average_is_not_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No bad checkpoint follows a good one."""
    spoil(monkeypatch, 7, lambda learner: learner.ema.tensors["function.scale"].fill_(float("nan")))
    with pytest.raises(DivergedError, match=r"averaged weight 'function\.scale'"):
        train_toy(tmp_path)
    assert [path.name for path in list_checkpoints(tmp_path / "checkpoints")] == ["step-00000005"]


def test_a_run_that_skips_most_steps_stops(tmp_path: Path) -> None:
    """Skipping is for an accident now and then; a rate that spoils every step is named, and nothing is pretended."""
    with pytest.raises(DivergedError, match=r"11 of the last 1[1-3] steps were skipped; the last one: step") as error:
        train_toy(tmp_path, lr=1e9, steps=30, nan="skip", clip=0.0, warmup=0)
    assert error.value.exit_code == 5


def test_the_signal_that_is_at_fault_is_named(tmp_path: Path) -> None:
    """Where the data are the cause no other learning rate is advised."""
    bad = late_signal()
    with pytest.raises(DivergedError, match=f"signal {bad} of the training data is the first; the data are") as error:
        train_toy(tmp_path, options={"bad": bad}, accumulate=2)
    assert "'lr'" not in str(error.value)


def test_metrics_are_json_whatever_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not finite is null: a bare NaN is no JSON."""
    monkeypatch.setattr(Score, "measure", lambda self, model: {"psnr": float("nan")})
    train_toy(tmp_path, options={"bad": late_signal()}, nan="skip")
    for line in (tmp_path / "metrics.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(name))
