"""Early stopping: a run whose samples fall apart ends at its best checkpoint, and only such a run."""

import json
import math
from pathlib import Path

import pytest
from toy_run import fingerprint, train_toy

from inrkit.config.resolve import resolve
from inrkit.core.objective.continuous import Diffusion, Ect
from inrkit.core.objective.discrete import Ct, Ict
from inrkit.core.timing import SigmoidPairing
from inrkit.report.history import History, read_lines
from inrkit.report.sheets import write_report
from inrkit.storage.checkpoint import list_checkpoints
from inrkit.storage.rundir import STOPPED
from inrkit.training.learner import Learner
from inrkit.training.stopping import EarlyStopping, finish

SHORT = {"steps": 24, "sample_every": 2, "save_every": 8, "warmup_share": 0.0, "early_stop": 2}
HEALTHY = {**SHORT, "objective": "diffusion", "steps": 100, "sample_every": 10, "save_every": 100, "lr": 3e-3}


def verdicts(values: list[float], patience: int = 2, counts: bool = True, trained: bool = True) -> list[bool]:
    """Whether the guard would stop, after each evaluation."""
    guard, found = EarlyStopping(patience, trained=trained), []
    for step, value in enumerate(values):
        guard.see(step, 0, value, counts=counts)
        found.append(guard.stop)
    return found


# ---------------------------------------------------------------------------------------------- the rule


def test_two_worse_evaluations_in_a_row_stop() -> None:
    """Each worse than the one before it and than the best by a tenth; or far worse, whether or not it falls again."""
    assert verdicts([5, 4, 3, 4, 5]) == [False, False, False, False, True]
    assert verdicts([5, 4, 3, 9, 8]) == [False, False, False, False, True]


@pytest.mark.parametrize(
    "values",
    [
        [5, 4, 3, 2, 1],  # better and better
        [3, 4, 3.9, 4.5, 4.4],  # up and down
        [3, 3.1, 3.2, 3.25, 3.29],  # chance: never a tenth worse than the best
        [3, 5, 4.9, 4.8, 4.7],  # recovering
        [3, 4],  # not yet
    ],
)
def test_nothing_else_stops(values: list[float]) -> None:
    """A plateau, a single outlier, or a slow recovery is no divergence."""
    assert not any(verdicts(values))


def test_what_is_not_finite_is_worse() -> None:
    """Samples that are no numbers stop a run as well, but not one that never had any others."""
    assert verdicts([3, math.inf, math.inf])[-1]
    assert verdicts([3, math.nan, math.nan])[-1]
    assert not verdicts([math.inf, math.inf, math.inf])[-1]


def test_patience_decides() -> None:
    """More patience waits longer; none never stops."""
    values = [1.0, 2.0, 3.0, 4.0, 5.0]
    assert [verdicts(values, patience).count(True) for patience in (0, 1, 2, 3)] == [0, 4, 3, 2]


def test_a_beginner_may_become_worse_first() -> None:
    """A network that never was better than at first has not learned yet; one that came from another run has."""
    assert not any(verdicts([3, 4, 5, 6], trained=False))
    assert verdicts([3, 4, 5, 4, 5, 6], trained=False) == [False] * 5 + [True]
    assert verdicts([3, 4, 5])[-1]


def test_an_easy_task_stops_nobody_and_a_new_phase_starts_anew() -> None:
    """Before the curriculum moves on nothing is held against a run, nor is what another phase reached."""
    assert not any(verdicts([1, 2, 3, 4, 5], counts=False))
    guard = EarlyStopping(2)
    for step, (phase, value) in enumerate([(0, 1.0), (0, 2.0), (1, 3.0), (1, 2.5)]):
        guard.see(step, phase, value)
    assert not guard.stop
    assert guard.best_step == 3


def test_the_guard_goes_on_where_it_was() -> None:
    """Law: saved and loaded, it decides as if nothing had happened."""
    values = [5.0, 4.0, math.inf, 4.1, 4.6, 4.0, 4.5, 5.0]
    whole = EarlyStopping(2)
    parts = EarlyStopping(2)
    for step, value in enumerate(values):
        whole.see(step, 0, value)
        parts.see(step, 0, value)
        again = EarlyStopping(2)
        again.load(json.loads(json.dumps(parts.state())))
        parts = again
        assert parts.state() == whole.state()
        assert parts.stop == whole.stop


def test_stages_of_the_curricula() -> None:
    """The stage grows with the curriculum: ECT's exponent, the number of levels on a grid; diffusion has none."""
    assert [Ect(curriculum=SigmoidPairing(stages=4)).stage(p) for p in (0, 0.3, 0.6, 1.0)] == [0, 1, 2, 3]
    assert [Ict().stage(p) for p in (0.0, 1.0)] == [11, 1281]
    assert [Ct().stage(p) for p in (0.0, 1.0)] == [2, 151]
    assert Diffusion().stage(0) == Diffusion().stage(1)
    config = resolve("image", flags={"steps": 80, "objective": "ect"})
    (ect,) = config.phases
    assert [ect.is_hard(step) for step in (0, 9, 10, 80)] == [False, False, True, True]
    (diffusion,) = resolve("image", flags={"steps": 80, "objective": "diffusion"}).phases
    assert diffusion.is_hard(0)


# ---------------------------------------------------------------------------------------------- runs


def measured(monkeypatch: pytest.MonkeyPatch, worst_after: int, best: float = 1.0) -> None:
    """Evaluations that improve until a step and become worse from then on, whatever the samples."""

    def measure(self: EarlyStopping, model: object) -> float:
        return best + abs(model.step - worst_after)  # type: ignore[attr-defined]

    monkeypatch.setattr(EarlyStopping, "measure", measure)


def steps_of(run: Path) -> list[int]:
    return [int(path.name.removeprefix("step-")) for path in list_checkpoints(run / "checkpoints")]


def test_a_run_that_diverges_ends_at_its_best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stops two evaluations after the best, whose checkpoint is the newest; the same command then does nothing."""
    measured(monkeypatch, worst_after=10)
    model = train_toy(tmp_path, **SHORT)
    assert model.step == 10
    assert steps_of(tmp_path)[-1] == 10
    assert "stopped early" in write_report(model, tmp_path).read_text()
    assert "Fréchet distance of samples from training signals" in History.read(tmp_path).charts()
    assert json.loads((tmp_path / "stopped.json").read_text())["step"] == 14
    lines = [line for line in read_lines(tmp_path / "metrics.jsonl") if "samples/frechet" in line]
    assert [line["step"] for line in lines] == [2, 4, 6, 8, 10, 12, 14]
    before = fingerprint(tmp_path)
    assert train_toy(tmp_path, **SHORT).step == 10
    assert fingerprint(tmp_path) == before


def test_the_best_checkpoint_is_kept_however_long_ago(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Newer checkpoints do not push it out while there is hope; more patience, and more of them."""
    measured(monkeypatch, worst_after=4)
    kept: list[list[int]] = []
    monkeypatch.setattr("inrkit.training.loop.stop_early", lambda run, step, guard: kept.append(steps_of(run)))
    train_toy(tmp_path, **{**SHORT, "save_every": 2, "early_stop": 7})
    assert kept == [[4, 14, 16]]


def test_a_stopped_run_goes_on_when_it_is_told_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without early stopping the same run continues from its best checkpoint to its end."""
    measured(monkeypatch, worst_after=10)
    train_toy(tmp_path, **SHORT)
    assert train_toy(tmp_path, **{**SHORT, "early_stop": 0}).step == 24
    assert not (tmp_path / "stopped.json").exists()


@pytest.mark.parametrize("interrupted", [5, 11, 13])
def test_stopping_early_resumes_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interrupted: int) -> None:
    """Law: a run that was killed on its way ends as one that was not, at the same step with the same bytes."""
    measured(monkeypatch, worst_after=10)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train_toy(whole, **SHORT)
    learn = Learner.learn

    def killed(self: Learner, *args: object, **kwargs: object) -> object:
        if self.step == interrupted:
            raise KeyboardInterrupt
        return learn(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Learner, "learn", killed)
        with pytest.raises(KeyboardInterrupt):
            train_toy(parts, **SHORT)
    train_toy(parts, **SHORT)
    assert fingerprint(parts) == fingerprint(whole)
    assert (parts / "stopped.json").read_text() == (whole / "stopped.json").read_text()


def test_an_end_that_was_cut_off_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between the note and the removal of newer checkpoints, the next call removes them."""
    measured(monkeypatch, worst_after=10)

    def killed(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("inrkit.training.stopping.remove_newer", killed)
        with pytest.raises(KeyboardInterrupt):
            train_toy(tmp_path, **{**SHORT, "save_every": 1})
    assert steps_of(tmp_path) != [10]
    assert train_toy(tmp_path, **{**SHORT, "save_every": 1}).step == 10


def test_forced_divergence_is_seen_in_the_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing replaced but the weights: from step 61 on they vanish, and the run goes back to before that."""
    learn = Learner.learn

    def spoiled(self: Learner, *args: object, **kwargs: object) -> object:
        if self.step >= 61:
            for average in self.ema.tensors.values():
                average.zero_()
        return learn(self, *args, **kwargs)

    monkeypatch.setattr(Learner, "learn", spoiled)
    assert train_toy(tmp_path, **HEALTHY).step <= 60
    assert json.loads((tmp_path / "stopped.json").read_text())["step"] <= 80


def test_a_healthy_run_is_left_alone(tmp_path: Path) -> None:
    """Training that gets better runs to its end, and without the option nothing is measured."""
    assert train_toy(tmp_path / "on", **HEALTHY).step == 100
    assert train_toy(tmp_path / "off", **{**SHORT, "early_stop": 0}).step == 24
    assert "frechet" not in (tmp_path / "off" / "metrics.jsonl").read_text()


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[]", b'{"best_step": null}'])
def test_a_damaged_note_does_not_keep_a_run_from_going_on(
    tmp_path: Path, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """It is set aside in one line, and the run is not stopped."""
    (tmp_path / STOPPED).write_bytes(data)
    assert not finish(tmp_path)
    assert not (tmp_path / STOPPED).exists()
    assert (tmp_path / f"{STOPPED}.damaged").read_bytes() == data
    assert len(caplog.records) == 1
