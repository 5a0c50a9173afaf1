"""One trainer per run directory: a lock that the operating system lets go of when its holder ends."""

import contextlib
import errno
import os
import sys
from pathlib import Path
from typing import final

from inrkit.errors import ResourceError
from inrkit.storage import atomic, fileerror

_UNSUPPORTED = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}
_HELD = {errno.EAGAIN, errno.EACCES, errno.EDEADLK}
_BYTE = 1 << 20  # the byte that Windows locks: far behind the text, for locked bytes cannot be read
_held: dict[Path, "RunLock"] = {}


@final
class RunLock:
    """``with RunLock(run):`` holds `run/.lock`, or raises `ResourceError` saying which process has it.

    A lock whose holder was killed is free at once. Where the system cannot lock such a file, the process id in it
    decides; that is weaker, for two processes starting in the same instant may both get it.
    """

    def __init__(self, directory: Path) -> None:
        self.path = Path(directory).resolve() / ".lock"
        self._descriptor: int | None = None

    def acquire(self) -> "RunLock":
        """Take the lock now or raise; the directory must exist."""
        with fileerror.disk_errors(self.path):
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | atomic.PLAIN, 0o666)
            try:
                self._lock(descriptor)
                os.ftruncate(descriptor, 0)
                os.lseek(descriptor, 0, os.SEEK_SET)
                os.write(descriptor, f"{os.getpid()}\n".encode())
            except BaseException:
                os.close(descriptor)
                raise
        self._descriptor = descriptor
        _held[self.path] = self
        return self

    def release(self, *_: object) -> None:
        """Let go; doing so twice is fine. The file stays, for removing it could pull it from under the next holder."""
        if self._descriptor is not None:
            # A disk that is full, and a system without such locks, must not spoil the end: closing the file suffices.
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, 0)
            with contextlib.suppress(OSError):
                _system_lock(self._descriptor, take=False)
            self._forget()

    def _lock(self, descriptor: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        text = os.read(descriptor, 32).strip()
        holder = int(text) if text.isdigit() else 0
        try:
            _system_lock(descriptor, take=True)
        except OSError as error:
            if error.errno not in _HELD | _UNSUPPORTED:
                raise
            mine = holder == os.getpid()  # held by this very process, or by a dead one that had the same id
            if error.errno in _HELD or (self.path in _held if mine else atomic.process_lives(holder)):
                who = f"in use by {f'pid {holder}' if holder else 'another process'}"
                advice = "wait for it, stop it, or choose another directory"
                raise ResourceError(f"{self.path.parent}: {who}; {advice}") from error

    def _forget(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = None
        _held.pop(self.path, None)

    __enter__, __exit__ = acquire, release


def _system_lock(descriptor: int, *, take: bool) -> None:
    """Takes the system's own lock on an open file, or lets go of it, without waiting."""
    if sys.platform == "win32":
        import msvcrt

        os.lseek(descriptor, _BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK if take else msvcrt.LK_UNLCK, 1)
        return
    try:
        import fcntl
    except ImportError as error:
        raise OSError(errno.ENOSYS, "no file locks") from error
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB if take else fcntl.LOCK_UN)


def _forget_in_child() -> None:
    # A forked data loader would otherwise share the lock and keep it when the trainer is killed.
    for lock in list(_held.values()):
        lock._forget()


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_forget_in_child)
