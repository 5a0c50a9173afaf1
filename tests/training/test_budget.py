"""A budget of time: a number of steps that is measured once, and from then on is one like any other."""

from pathlib import Path

import pytest
import torch
from toy import ToyModality
from toy_run import fingerprint, train_toy

from inrkit.config.resolve import resolve
from inrkit.config.toml import read_toml
from inrkit.errors import UsageError
from inrkit.machine.processes import Ranks
from inrkit.training import budget


def test_as_many_steps_as_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A share is left for what is not a step; the config keeps the number, and a run of so many steps is the same."""
    monkeypatch.setattr(budget, "seconds_of_a_step", lambda *args: 2.0)
    train_toy(tmp_path / "a", minutes=1)
    steps = int(read_toml(tmp_path / "a" / "config.toml")["steps"])
    assert steps == 25
    train_toy(tmp_path / "b", steps=steps)
    assert fingerprint(tmp_path / "a") == fingerprint(tmp_path / "b")


def test_a_run_that_has_begun_keeps_its_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same command goes on, however fast the machine is by then."""
    monkeypatch.setattr(budget, "seconds_of_a_step", lambda *args: 2.0)
    train_toy(tmp_path, minutes=1)
    monkeypatch.setattr(budget, "seconds_of_a_step", lambda *args: pytest.fail("measured again"))
    assert train_toy(tmp_path, minutes=1).step == 25


def test_measured_steps_change_nothing(tmp_path: Path) -> None:
    """They are taken by another learner, and leave the random states alone."""
    model = train_toy(tmp_path / "a", minutes=0.05)
    assert model.step >= 10
    train_toy(tmp_path / "b", steps=model.step)
    assert fingerprint(tmp_path / "a") == fingerprint(tmp_path / "b")


@pytest.mark.parametrize(("minutes", "words"), [(0.1, r"leaves time for 2 steps .* at least 0\.4"), (0, "must be > 0")])
def test_too_little_time_is_refused(
    minutes: float, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is written, with the time that it takes."""
    monkeypatch.setattr(budget, "seconds_of_a_step", lambda *args: 2.0)
    with pytest.raises(UsageError, match=words):
        train_toy(tmp_path / "run", minutes=minutes)
    assert not (tmp_path / "run").exists()


def test_processes_agree_on_the_number(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """However fast each of them measured: the figures of the first are everybody's."""
    monkeypatch.setattr(budget, "seconds_of_a_step", lambda *args: 7.0)
    monkeypatch.setattr(Ranks, "broadcast", lambda ranks, make: (2.0, 0.0))  # what the first measured
    resolved = resolve(ToyModality)
    assert budget.within(1, resolved, tmp_path, Ranks(1, 2), torch.device("cpu")).config.steps == 25
