"""One trainer per run directory: an advisory lock that the operating system lets go of when its holder ends."""

import contextlib
import errno
import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import final

from inrkit.errors import ResourceError
from inrkit.storage import atomic

_UNSUPPORTED = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}
_held: dict[Path, "RunLock"] = {}


@final
class RunLock:
    """``with RunLock(run):`` holds `run/.lock`, or raises `ResourceError` saying which process has it.

    A lock whose holder was killed is free at once. Where the file system knows no flock, the process id in the file
    decides; that is weaker, for two processes starting in the same instant may both get it.
    """

    def __init__(self, directory: Path) -> None:
        self.path = Path(directory).resolve() / ".lock"
        self._descriptor: int | None = None

    def acquire(self) -> "RunLock":
        """Take the lock now or raise; the directory must exist."""
        with atomic.disk_errors(self.path):
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        try:
            with atomic.disk_errors(self.path):
                self._lock(descriptor)
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        _held[self.path] = self
        return self

    def release(self) -> None:
        """Let go; doing so twice is fine. The file stays, for removing it could pull it from under the next holder."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            with contextlib.suppress(OSError):  # where flock is unsupported there is nothing to undo
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            self._forget()

    def _lock(self, descriptor: int) -> None:
        holder = _read_pid(descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise self._in_use(holder) from error
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            mine = holder == os.getpid()  # held by this very process, or by a dead one that had the same id
            if (mine and self.path in _held) or (not mine and atomic.process_lives(holder)):
                raise self._in_use(holder) from error

    def _in_use(self, holder: int) -> ResourceError:
        who = f"in use by pid {holder}" if holder else "in use by another process"
        return ResourceError(f"{self.path.parent}: {who}; wait for it, stop it, or choose another directory")

    def _forget(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = None
        _held.pop(self.path, None)

    def __enter__(self) -> "RunLock":
        return self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _read_pid(descriptor: int) -> int:
    text = os.pread(descriptor, 32, 0).strip()
    return int(text) if text.isdigit() else 0


def _forget_in_child() -> None:
    # A forked data loader would otherwise share the lock and keep it when the trainer is killed.
    for lock in list(_held.values()):
        lock._forget()


os.register_at_fork(after_in_child=_forget_in_child)
