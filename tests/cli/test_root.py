"""What the program does before a command."""

import os

import pytest
from click.testing import CliRunner

from inrkit.cli import main, root


@pytest.fixture
def as_the_program_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.usefixtures("as_the_program_is_called")
def test_threads_spin_for_microseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then they wait asleep, in every command, unless the user says otherwise."""
    told: list[tuple[str, str]] = []
    monkeypatch.setattr(root, "_set", lambda ctx, variable, value: told.append((variable, value)))
    for name in ("train", "edit"):
        CliRunner().invoke(main, [name, "--help"])
    assert told == [("OMP_WAIT_POLICY", "PASSIVE"), ("GOMP_SPINCOUNT", "3000")] * 2
    for variable, value in (("OMP_WAIT_POLICY", "ACTIVE"), ("GOMP_SPINCOUNT", "0")):
        with monkeypatch.context() as theirs:
            theirs.setenv(variable, value)
            CliRunner().invoke(main, ["edit", "--help"])
    assert len(told) == 4


@pytest.mark.usefixtures("as_the_program_is_called")
def test_what_is_set_for_a_command_is_unset_after_it() -> None:
    """The process is left as it was."""
    CliRunner().invoke(main, ["render", "--help"])
    assert not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & set(os.environ)
