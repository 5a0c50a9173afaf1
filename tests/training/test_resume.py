"""A run that was stopped, in whatever way, and begun again leaves the same bytes as one that was not."""

import multiprocessing
import os
import random
import shutil
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import torch
from toy import ToyModality, ToySource
from toy_run import fingerprint, in_child, train_toy

from inrkit.config.resolve import Resolved
from inrkit.errors import DataError, ResourceError, UsageError
from inrkit.machine.processes import Ranks
from inrkit.machine.randomness import preserve_random_state
from inrkit.machine.signals import StoppedError, StopRequest
from inrkit.storage import atomic
from inrkit.storage.checkpoint import list_checkpoints, load_checkpoint
from inrkit.storage.rundir import read_config
from inrkit.storage.runlock import RunLock
from inrkit.training.learner import Learner
from inrkit.training.run import train


class CrashError(Exception):
    """Stands for whatever ends a process."""


def crash_at(step: int):
    def on_sample(model: object, run: Path, now: int) -> None:
        if now == step:
            raise CrashError

    return on_sample


def send_at(step: int, number: int):
    def on_sample(model: object, run: Path, now: int) -> None:
        if now == step:
            os.kill(os.getpid(), number)

    return on_sample


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    run = tmp_path_factory.mktemp("whole") / "run"
    train_toy(run, sample_every=2, gradient_every=4)
    return fingerprint(run)


IN_PHASES = [
    {"objective": "reconstruction", "share": 0.6, "optimizer": "adamw", "lr": 0.02, "batch_size": 4, "ema": False},
    {"objective": "ect", "share": 0.4, "teacher_ema": 0.9},
]
"""The first one ends where the test crashes."""


@pytest.mark.parametrize("step", [2, 8, 12, 18])
def test_resume_equals_never_having_stopped(tmp_path: Path, uninterrupted: dict[str, str], step: int) -> None:
    """Weights, averages, optimizer, random states and the metrics file, bit for bit."""
    with pytest.raises(CrashError):
        train_toy(tmp_path, sample_every=2, gradient_every=4, on_sample=crash_at(step))
    model = train_toy(tmp_path, sample_every=2, gradient_every=4)
    assert model.step == 20
    assert fingerprint(tmp_path) == uninterrupted


@pytest.mark.parametrize(
    "values",
    [
        {"workers": 2},
        {"optimizer": "adamw"},
        {"optimizer": "muon"},
        {"precision": "bf16"},
        {"teacher_ema": 0.9},
        {"teacher_ema": 0.9, "teacher_schedule": "rising", "ema_decay": 0.9},
        {"phases": IN_PHASES},
        {"accumulate": 4},
    ],
    ids=str,
)
def test_every_kind_of_state_resumes(tmp_path: Path, values: dict[str, object]) -> None:
    """Optimizers, teachers, workers and precisions carry over exactly."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train_toy(whole, sample_every=12, **values)
    with pytest.raises(CrashError):
        train_toy(parts, sample_every=12, on_sample=crash_at(12), **values)
    train_toy(parts, sample_every=12, **values)
    assert fingerprint(parts) == fingerprint(whole)


def test_workers_change_nothing(tmp_path: Path, uninterrupted: dict[str, str]) -> None:
    """Who reads the data does not decide what is read."""
    train_toy(tmp_path, sample_every=2, gradient_every=4, workers=2)
    assert fingerprint(tmp_path) == uninterrupted


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_and_stops(tmp_path: Path, uninterrupted: dict[str, str], number: int, code: int) -> None:
    """The step is finished and saved, the exit code tells the signal, and the run goes on exactly."""
    with pytest.raises(StoppedError, match="saved at step 9") as stopped:
        train_toy(tmp_path, sample_every=2, gradient_every=4, on_sample=send_at(8, number))
    assert stopped.value.exit_code == code
    assert list_checkpoints(tmp_path / "checkpoints")[-1].name == "step-00000009"
    train_toy(tmp_path, sample_every=2, gradient_every=4)
    assert fingerprint(tmp_path) == uninterrupted


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Python's own handling of Ctrl-C, which a shell's background jobs lack."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_a_second_interrupt_leaves_at_once() -> None:
    """Who presses Ctrl-C twice does not want to wait."""
    with StopRequest().listening() as stop, stop.deferred():
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.signal == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def train_in_child(run: Path) -> None:
    torch.set_num_threads(1)
    train_toy(run, sample_every=2, gradient_every=4)


def test_kill_9_at_any_moment_changes_nothing(tmp_path: Path, uninterrupted: dict[str, str]) -> None:
    """Children are killed at random moments, and the last one finishes as if nothing had happened."""
    chance, kills, patience = random.Random(0), 0, 0.05
    while True:
        child = in_child(train_in_child, tmp_path)
        child.join(timeout=chance.uniform(0.3, 1) * patience)
        if child.exitcode is not None:
            break
        os.kill(child.pid or 0, signal.SIGKILL)
        child.join()
        kills += 1
        patience *= 1.3 if kills > 5 else 1.1
        assert kills < 50
    assert child.exitcode == 0
    assert kills >= 3
    assert fingerprint(tmp_path) == uninterrupted


def test_a_finished_run_is_left_as_it_is(tmp_path: Path) -> None:
    """The same command once more trains nothing."""
    train_toy(tmp_path, steps=4)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    assert train_toy(tmp_path, steps=4).step == 4
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}


def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path, uninterrupted: dict[str, str]) -> None:
    """The one before it is used, and the run ends the same."""
    with pytest.raises(CrashError):
        train_toy(tmp_path, sample_every=2, gradient_every=4, on_sample=crash_at(12))
    newest = list_checkpoints(tmp_path / "checkpoints")[-1] / "model.safetensors"
    data = bytearray(newest.read_bytes())
    data[-5] ^= 1
    newest.write_bytes(data)
    train_toy(tmp_path, sample_every=2, gradient_every=4)
    assert fingerprint(tmp_path) == uninterrupted


def test_a_changed_config_is_named(tmp_path: Path) -> None:
    """Every key that would make it another run, and nothing is trained."""
    train_toy(tmp_path, steps=4)
    with pytest.raises(UsageError, match=r"lr 0\.01, now 0\.5, options\.width 16, now 8"):
        train_toy(tmp_path, steps=4, lr=0.5, options={"width": 8})
    train_toy(tmp_path, steps=4, workers=1, accumulate=2)  # how it is computed may change


def test_a_run_is_extended_only_when_told(tmp_path: Path) -> None:
    """Another number of steps is another schedule."""
    train_toy(tmp_path, steps=4)
    with pytest.raises(UsageError, match="steps 4, now 6"):
        train_toy(tmp_path, steps=6)
    assert train_toy(tmp_path, steps=6, extend=True).step == 6
    assert train_toy(tmp_path, steps=6).step == 6


def test_other_data_are_refused(tmp_path: Path) -> None:
    """A resumed run must find what it was trained on."""
    with pytest.raises(CrashError):
        train_toy(tmp_path, sample_every=12, on_sample=crash_at(12))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ToySource, "facts", {"title": "noise", "count": 48, "size": [16]})
        with pytest.raises(DataError, match="'title' was 'waves', found 'noise'"):
            train_toy(tmp_path, sample_every=12)


def test_one_trainer_per_run(tmp_path: Path) -> None:
    """The second is told which process has the directory."""
    with RunLock(tmp_path), pytest.raises(ResourceError, match=f"in use by pid {os.getpid()}"):
        train_toy(tmp_path)


def test_a_file_in_the_way_is_a_usage_error(tmp_path: Path) -> None:
    """Before the first step."""
    (tmp_path / "run").write_text("")
    with pytest.raises(UsageError, match="run"):
        train_toy(tmp_path / "run")


def test_a_full_disk_keeps_the_last_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Saving fails with its own kind of error; what was saved before still loads, and the run can go on."""
    write = atomic.write_new_file

    def full(path: Path, parts: Iterable[bytes]) -> tuple[str, int]:
        if "step-00000010" in str(path) and path.name == "optimizer.safetensors":
            raise OSError(28, "No space left on device")
        return write(path, parts)

    monkeypatch.setattr(atomic, "write_new_file", full)
    with pytest.raises(ResourceError, match="no room"):
        train_toy(tmp_path)
    assert [path.name for path in list_checkpoints(tmp_path / "checkpoints")] == ["step-00000005"]
    monkeypatch.undo()
    assert train_toy(tmp_path).step == 20


def test_a_run_starts_from_another(tmp_path: Path) -> None:
    """``init`` takes the averaged weights of a run; a run of another shape is refused."""
    first = train_toy(tmp_path / "first", steps=4)
    with pytest.raises(DataError, match="the model needs"):
        train_toy(tmp_path / "wide", init=str(tmp_path / "first"), options={"width": 8})
    second = train_toy(tmp_path / "second", init=str(tmp_path / "first"), steps=1, lr=1e-12, warmup=0)
    for a, b in zip(first.pipeline.parameters(), second.pipeline.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("workers", [0, 1])
def test_unreadable_data_is_named(tmp_path: Path, workers: int) -> None:
    """In one line, also when another process reads."""
    with pytest.raises(DataError, match=r"^signal 3 cannot be read$"):
        train_toy(tmp_path, workers=workers, options={"missing": 3})


def test_a_lost_worker_is_a_lack_of_resources(tmp_path: Path) -> None:
    """Systems that run out of memory kill readers first."""

    def kill_worker(model: object, run: Path, step: int) -> None:
        os.kill(multiprocessing.active_children()[0].pid or 0, signal.SIGKILL)
        time.sleep(0.2)

    with pytest.raises(ResourceError, match="a process that reads data was lost"):
        train_toy(tmp_path, workers=1, sample_every=7, steps=100, on_sample=kill_worker)


def test_a_lack_of_memory_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same batch in smaller parts gives the same run."""

    def full(*args: object, **kwargs: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(Learner, "learn", full)
    with pytest.raises(ResourceError, match="a larger 'accumulate'"):
        train_toy(tmp_path)


def test_a_run_that_never_saved_may_get_another_config(tmp_path: Path) -> None:
    """A mistake that was noticed at once does not spoil the directory."""
    with pytest.raises(UsageError, match="multiple"):
        train_toy(tmp_path, accumulate=3)
    assert train_toy(tmp_path, batch_size=6, accumulate=3, steps=2).config.batch_size == 6


def test_progress_is_plain_where_there_is_no_terminal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Lines on standard error with the phase, the loss and the time left; nothing on standard output."""
    train(modality=ToyModality, out=tmp_path, steps=3, on_sample=lambda *a: None, on_end=lambda *a: None)
    out, err = capfd.readouterr()
    assert out == ""
    assert "step 3/3" in err
    assert "left" in err


def test_the_last_weights_are_saved_before_they_are_measured(tmp_path: Path, uninterrupted: dict[str, str]) -> None:
    """Who is killed while the end is measured trains nothing again, and leaves the same bytes."""
    with pytest.raises(CrashError):
        train_toy(tmp_path, sample_every=2, gradient_every=4, on_sample=crash_at(20))
    last = list_checkpoints(tmp_path / "checkpoints")[-1]
    assert last.name == "step-00000020"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Learner, "learn", lambda *args, **kwargs: pytest.fail("trained"))
        train_toy(tmp_path, sample_every=2, gradient_every=4)
    assert fingerprint(tmp_path) == uninterrupted


def test_a_finished_run_keeps_no_checkpoint_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between writing the last checkpoint and removing older ones, the next call removes them."""
    monkeypatch.setattr("inrkit.storage.checkpoint.prune", lambda *args, **kwargs: [])
    train_toy(tmp_path)
    assert len(list_checkpoints(tmp_path / "checkpoints")) == 4
    monkeypatch.undo()
    train_toy(tmp_path)
    assert [path.name for path in list_checkpoints(tmp_path / "checkpoints")] == ["step-00000015", "step-00000020"]


def test_a_run_directory_that_has_gone_is_said(tmp_path: Path) -> None:
    """Not that another place should be chosen."""

    def remove(model: object, run: Path, step: int) -> None:
        shutil.rmtree(run)

    with pytest.raises(ResourceError, match="the run directory has gone"):
        train_toy(tmp_path / "run", sample_every=7, on_sample=remove)


def test_the_end_of_a_run_is_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What takes its time after the last step has a line of its own."""
    train(modality=ToyModality, out=tmp_path, steps=3, on_sample=lambda *a: None)
    err = capfd.readouterr().err
    assert err.index("step 3/3") < err.index("measuring") < err.index("writing the report")


def test_a_learner_is_its_state(tmp_path: Path) -> None:
    """Another learner that loads it has the same state, tensor by tensor and counter by counter."""
    train_toy(tmp_path, optimizer="adamw", teacher_ema=0.9)
    checkpoint = load_checkpoint(list_checkpoints(tmp_path / "checkpoints")[-1])
    resolved = Resolved.of(read_config(tmp_path), ToyModality)
    with preserve_random_state(torch.device("cpu")):
        learner = Learner(resolved, Ranks(), torch.device("cpu"), "fp32")
        learner.load(checkpoint)
        tensors, state = learner.state()
    assert {key: value for key, value in checkpoint.state.items() if key in state} == state
    assert checkpoint.tensors.keys() == tensors.keys()
    for group, members in tensors.items():
        assert members.keys() == checkpoint.tensors[group].keys()
        assert all(torch.equal(tensor, checkpoint.tensors[group][name]) for name, tensor in members.items())
