"""What the program does before a command."""

import os

import pytest
from click.testing import CliRunner

from inrkit.cli import main, root


def test_threads_of_small_commands_do_not_spin(monkeypatch: pytest.MonkeyPatch) -> None:
    """They wait asleep while an edit is made, unless the user says otherwise; training is left alone."""
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    told: list[str] = []
    monkeypatch.setattr(root, "_set", lambda ctx, variable, value: told.append(variable))
    for name, wanted in (("train", []), ("edit", ["OMP_WAIT_POLICY"])):
        CliRunner().invoke(main, [name, "--help"])
        assert told == wanted
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    CliRunner().invoke(main, ["edit", "--help"])
    assert told == ["OMP_WAIT_POLICY"]


def test_what_is_set_for_a_command_is_unset_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process is left as it was."""
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    CliRunner().invoke(main, ["render", "--help"])
    assert "OMP_WAIT_POLICY" not in os.environ
