"""The stages of `make soak`, a few cases of each: what is promised about files, faults, signals and hostile input."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch

from soak.__main__ import main, run, summary
from soak.child import Child, warm_up
from soak.disk import Full, Left, Undisturbed
from soak.killing import KINDS, Killing, free_port, one_of
from soak.prepared import COMMANDS, IMAGE, Prepared
from soak.record import Record
from soak.stage import BrokenPromise, Stage
from soak.stages import STAGES

# By their numbers: a run of one process is killed, of two in tests/training/test_distributed.py; a full disk meets an
# import; damaged are a manifest, an .inr file and a mask; signals meet training and an import.
CASES: dict[str, Sequence[int]] = {"kill": [1], "disk": range(2), "full": [1], "damage": [0, 7, 22], "signals": [0, 2]}
CASES |= {"writers": [0], "workers": [0], "numbers": [0], "hostile": range(16), "arguments": range(15)}
IMPORT = list(COMMANDS).index("import")


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    threads = torch.get_num_threads()
    warm_up()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INRKIT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield Prepared(tmp_path_factory.mktemp("soak") / "given", steps=6)
    torch.set_num_threads(threads)


@pytest.mark.parametrize("name", CASES)
def test_the_first_cases_of_a_stage_hold(name: str, given: Prepared, tmp_path: Path) -> None:
    """Of fewer kinds of commands, and fewer kills of shorter runs, than `make soak` tries."""
    stage = STAGES[name](given)
    if isinstance(stage, Killing):
        stage.kills = 1
    if isinstance(stage, Undisturbed):
        stage.commands = ("train", "import")
    for number in CASES[name]:
        (folder := tmp_path / str(number)).mkdir()
        stage.case(number, folder)


def test_who_waits_for_a_lost_process_is_ended_by_a_signal(given: Prepared, tmp_path: Path) -> None:
    """The first of two processes never comes; the other waits inside PyTorch."""
    waiting = Child(one_of([*IMAGE, "--steps", "2"], 1, 2, free_port()), tmp_path)
    assert waiting.wait(0.5) is None
    waiting.send(signal.SIGTERM)
    ended = waiting.end(30)
    assert not ended.hung
    assert ended.code in (-signal.SIGTERM, 128 + signal.SIGTERM)  # the latter before it waits


def test_every_stage_is_tried() -> None:
    """But for the long run; and the first that is killed is one of two processes."""
    assert STAGES.keys() == CASES.keys() | {"endurance"}
    assert [processes for _, processes in KINDS.values()] == [2, 1, 1, 1]


class Counting(Stage):
    """Of four cases the second fails."""

    name, summary = "counting", "nothing"
    count = 4

    def case(self, number: int, folder: Path) -> str:
        if number == 1:
            raise BrokenPromise("it broke")
        return "fine"


def test_finished_cases_are_not_repeated(given: Prepared, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Half of them, then the others; a failure is told with the command that repeats it."""
    for scale, done in ((0.5, 2), (0.5, 2), (1.0, 4)):
        record = Record(tmp_path / "soak.json")
        run(Counting(given, scale), record.results("counting", 0), record, tmp_path, "")
        assert Record(tmp_path / "soak.json").stages["counting"].done == done
    results = Record(tmp_path / "soak.json").stages["counting"]
    assert (results.outcomes, results.failures) == ({"fine": 3}, {"1": "it broke"})
    assert "python -m soak --only counting --case 1" in summary(record, ["counting"])
    assert "counting: 4 of 4, 1 failed; 0:00:00 left" in capsys.readouterr().err
    assert record.results("counting", 7).done == 0  # another seed does other harm


def test_a_broken_promise_is_found(given: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage notices what a command that forgets its promise leaves: here, a file that is not there at all."""
    stage = Full(given)
    monkeypatch.setattr(stage, "left_by", lambda name: Left({"never": "there"}, 0, 0, 0.0))
    with pytest.raises(BrokenPromise, match="missing: never"):
        stage.case(IMPORT, tmp_path)


@pytest.mark.parametrize("words", [["--scale", "2"], ["--case", "3"], ["--only", "nothing"]])
def test_wrong_arguments_are_told(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is imported."""
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_a_file_that_a_failing_disk_does_not_open_is_closed(tmp_path: Path) -> None:
    """Otherwise Python warns of it, in words that no command wrote."""
    program = (
        "from soak.faults import FailingDisk\nFailingDisk(k=1, fault='ENOSPC').install()\n"
        "try:\n    open('x', 'ab')\nexcept OSError as error:\n    print(error.strerror)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("No space left on device\n", "")
