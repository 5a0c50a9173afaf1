"""One trainer per run directory."""

import errno
import fcntl
import os
import signal
from pathlib import Path

import pytest

from inrkit.errors import ResourceError, UsageError
from inrkit.storage.runlock import RunLock


def other_holder(path: Path) -> int:
    """A process that holds the lock until it is killed."""
    ready, write = os.pipe()
    child = os.fork()
    if child == 0:
        lock = RunLock(path).acquire()
        os.write(write, b"x")
        signal.pause()
        lock.release()
    os.close(write)
    os.read(ready, 1)
    os.close(ready)
    return child


def end(child: int) -> None:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


@pytest.fixture(params=["flock", "no flock"])
def _both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "no flock":

        def unsupported(*_: object) -> None:
            raise OSError(errno.ENOLCK, "no locks available")

        monkeypatch.setattr(fcntl, "flock", unsupported)


@pytest.mark.usefixtures("_both_ways")
def test_a_second_holder_is_told_who_has_it(tmp_path: Path) -> None:
    """While one process holds the lock another fails with its id; killed, it holds nothing."""
    holder = other_holder(tmp_path)
    try:
        with pytest.raises(ResourceError, match=f"in use by pid {holder}"):
            RunLock(tmp_path).acquire()
    finally:
        end(holder)
    with RunLock(tmp_path):
        assert (tmp_path / ".lock").read_text() == f"{os.getpid()}\n"


@pytest.mark.usefixtures("_both_ways")
def test_the_same_process_cannot_lock_twice_but_again(tmp_path: Path) -> None:
    """Two trainers in one process are two as well; after release the lock is free."""
    lock = RunLock(tmp_path)
    with lock, pytest.raises(ResourceError, match=f"in use by pid {os.getpid()}"):
        RunLock(tmp_path).acquire()
    lock.release()
    with RunLock(tmp_path):
        pass


@pytest.mark.usefixtures("_both_ways")
@pytest.mark.parametrize(
    "content",
    ["", "garbage", "4194999", str(os.getpid()), "99999999999999999999"],
    ids=["empty", "garbage", "dead", "own", "huge"],
)
def test_stale_locks_are_recovered(tmp_path: Path, content: str) -> None:
    """Whatever an ended process left in the file, the lock can be had."""
    (tmp_path / ".lock").write_text(content)
    with RunLock(tmp_path):
        pass


def test_forked_workers_do_not_keep_the_lock(tmp_path: Path) -> None:
    """A data loader that outlives its killed trainer does not lock the run."""
    ready, write = os.pipe()
    trainer = os.fork()
    if trainer == 0:
        lock = RunLock(tmp_path).acquire()
        if os.fork() == 0:
            os.write(write, f"{os.getpid()}".encode())
        signal.pause()
        lock.release()
    worker = int(os.read(ready, 32))
    os.close(ready)
    os.close(write)
    try:
        with pytest.raises(ResourceError, match=f"in use by pid {trainer}"):
            RunLock(tmp_path).acquire()
        end(trainer)
        with RunLock(tmp_path):
            os.kill(worker, 0)  # alive and without the lock
    finally:
        os.kill(worker, signal.SIGKILL)


def test_a_missing_directory_is_a_usage_error(tmp_path: Path) -> None:
    """There is nothing to lock."""
    with pytest.raises(UsageError, match="cannot be used"):
        RunLock(tmp_path / "none").acquire()
