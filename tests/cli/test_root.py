"""What the program does before a command."""

import os

import pytest
from click.testing import CliRunner

from inrkit.cli import main, root


def test_threads_do_not_spin(monkeypatch: pytest.MonkeyPatch) -> None:
    """They wait asleep, in every command, unless the user says otherwise."""
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    told: list[tuple[str, str]] = []
    monkeypatch.setattr(root, "_set", lambda ctx, variable, value: told.append((variable, value)))
    for name in ("train", "edit"):
        CliRunner().invoke(main, [name, "--help"])
    assert told == [("OMP_WAIT_POLICY", "PASSIVE")] * 2
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    CliRunner().invoke(main, ["edit", "--help"])
    assert len(told) == 2


def test_what_is_set_for_a_command_is_unset_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process is left as it was."""
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    CliRunner().invoke(main, ["render", "--help"])
    assert "OMP_WAIT_POLICY" not in os.environ
