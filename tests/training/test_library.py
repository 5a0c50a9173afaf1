"""`inrkit.train` in somebody's program: it trains as the command does, and leaves the process as it was."""

import os
import random
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from toy import ToyModality
from toy_run import fingerprint, nothing, train_toy

import inrkit
from inrkit.machine.signals import StoppedError, StopRequest, process_setup

QUIET = {"on_sample": nothing, "on_end": nothing, "progress": False, "precision": "fp32"}


def process_state() -> list[object]:
    """What all code of a process shares, as far as training could change it."""
    name, keys, *rest = np.random.get_state(legacy=True)
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    shared = [torch.get_float32_matmul_precision(), torch.get_num_threads(), torch.is_grad_enabled(), *handlers]
    return [torch.get_rng_state().tolist(), random.getstate(), name, keys.tolist(), *rest, *shared]


def test_a_library_call_leaves_the_process_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random states, signal handlers and the precision of products, during the run and after it."""
    monkeypatch.setattr("inrkit.machine.signals.keep_freed_memory", lambda: pytest.fail("the allocator was changed"))
    torch.manual_seed(3), random.seed(4), np.random.seed(5)
    before = process_state()
    during = []

    def look(*args: object) -> None:
        during.append(signal.getsignal(signal.SIGTERM))

    inrkit.train(modality=ToyModality, out=tmp_path, **{**QUIET, "on_sample": look})
    assert process_state() == before
    assert during == [signal.getsignal(signal.SIGTERM)]


def test_a_failed_run_leaves_the_process_as_it_was_too(tmp_path: Path) -> None:
    """Whatever ends it."""
    before = process_state()
    with pytest.raises(inrkit.DivergedError):
        inrkit.train(modality=ToyModality, out=tmp_path, **QUIET, options={"bad": 7})
    assert process_state() == before


def test_a_library_run_equals_a_command_run(tmp_path: Path) -> None:
    """Bit for bit, whatever the random states were before."""
    torch.manual_seed(77)
    inrkit.train(modality=ToyModality, out=tmp_path / "library", **QUIET)
    torch.manual_seed(78)
    train_toy(tmp_path / "command")
    assert fingerprint(tmp_path / "library") == fingerprint(tmp_path / "command")


@pytest.mark.parametrize(("name", "code"), [("SIGHUP", 129), ("SIGTERM", 143), ("SIGINT", 130)])
def test_outside_the_loop_a_signal_ends_at_once_with_one_line(name: str, code: int) -> None:
    """There is nothing to finish before the first step, nor while a report is written."""
    with pytest.raises(StoppedError, match=f"stopped by {name}") as stopped, process_setup():
        os.kill(os.getpid(), getattr(signal, name))
    assert stopped.value.exit_code == code


def test_a_closed_terminal_saves_and_stops(tmp_path: Path) -> None:
    """SIGHUP is as SIGTERM."""

    def hang_up(model: object, run: Path, step: int) -> None:
        os.kill(os.getpid(), signal.SIGHUP)

    with pytest.raises(StoppedError, match="saved at step 9") as stopped:
        train_toy(tmp_path, sample_every=8, on_sample=hang_up)
    assert stopped.value.exit_code == 129


def test_nohup_is_obeyed() -> None:
    """Who had SIGHUP ignored wants the run to go on."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with process_setup():
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_who_listens_is_known_and_forgotten() -> None:
    """A program may set up, train and go on with its own handlers."""
    outside = StopRequest.current
    with process_setup():
        assert StopRequest.current is not outside
    assert StopRequest.current is outside
