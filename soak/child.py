"""The program in a process of its own, forked from one that has imported everything, so that each starts at once."""

import contextlib
import fcntl
import importlib
import logging
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn, final

import attrs

_PIPE = 1031  # F_SETPIPE_SZ
_ROOM = 1 << 20  # characters that a child may print
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LOST = 120.0  # seconds after which a child counts as hanging, whatever else this machine does


@final
@attrs.frozen
class Ended:
    """How a child ended.

    Args:
        code: Its exit code, or minus the number of the signal that killed it.
        seconds: Of the processor, which do not depend on what else the machine does.
        peak: Bytes of memory at most, those of its parent included.
        hung: Whether it was killed because it did not end.
    """

    code: int
    out: str
    err: str
    seconds: float
    peak: int
    hung: bool = False


@final
class Child:
    """A process that has begun; its own group, so that whatever it started ends with it."""

    def __init__(self, work: Callable[[], object], folder: Path) -> None:
        self._out, self._err = _pipe(), _pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # none may meet a child that still thinks it is its parent
        self.pid = os.fork()
        if self.pid == 0:
            try:
                _become(work, folder, self._out[1], self._err[1])
            finally:  # a second signal met it while it ended
                os._exit(128 + signal.SIGINT)
        hear_signals()
        with contextlib.suppress(OSError):
            os.setpgid(self.pid, self.pid)
        os.close(self._out[1])
        os.close(self._err[1])
        self._ended: Ended | None = None

    def send(self, number: int) -> None:
        """A signal, if it still runs."""
        if self._ended is None and not self._look():
            os.kill(self.pid, number)

    def wait(self, seconds: float = LOST) -> Ended | None:
        """How it ended, or None if it still runs after so many seconds."""
        until = time.monotonic() + seconds
        while not self._look():
            if time.monotonic() > until:
                return None
            time.sleep(0.002)
        return self._ended

    def end(self, seconds: float = LOST) -> Ended:
        """How it ended; it is killed if it hangs."""
        if (ended := self.wait(seconds)) is None:
            self.send(signal.SIGKILL)
            ended = self.wait()
            assert ended is not None, f"process {self.pid} cannot be killed"
            return attrs.evolve(ended, hung=True)
        return ended

    def _look(self) -> bool:
        if self._ended is not None:
            return True
        pid, status, usage = os.wait4(self.pid, os.WNOHANG)
        if pid == 0:
            return False
        with contextlib.suppress(OSError):
            os.killpg(self.pid, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(status)
        seconds, peak = usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024
        self._ended = Ended(code, _read(self._out[0]), _read(self._err[0]), seconds, peak)
        return True


def command(*args: object) -> Callable[[], object]:
    """A command line of inrkit, as work for a child."""

    def work() -> None:
        from inrkit.__main__ import main

        sys.argv = ["inrkit", *map(str, args)]
        try:
            hear_signals()
        except KeyboardInterrupt:  # it came before the command began, as it may while Python itself starts
            print("interrupted before it began", file=sys.stderr)
            sys.exit(128 + signal.SIGINT)
        main()

    return work


def hear_signals() -> None:
    """Those that came since a process was forked come now: a child hears none before its command begins."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


def inrkit(folder: Path, *args: object, before: Callable[[], object] = lambda: None, seconds: float = LOST) -> Ended:
    """A command line of inrkit, run to its end in ``folder``, after something that befalls its process."""
    return Child(lambda: (before(), command(*args)()), folder).end(seconds)


def warm_up() -> None:
    """Import what the commands need, once; nothing is computed, for threads would not survive a fork."""
    import torch

    from inrkit.cli.root import COMMANDS
    from inrkit.plugins import load_plugins

    torch.set_num_threads(1)
    modules = [target.partition(":")[0] for target, _ in COMMANDS.values()]
    for name in (
        "h5py",
        "PIL.Image",
        "PIL.PngImagePlugin",
        "torch._dynamo",
        "kornia",
        "inrkit.training.run",
        "inrkit.report.sheets",
    ):
        importlib.import_module(name)
    for name in (*modules, "inrkit.evaluation.evaluate", "inrkit.inference.model", "inrkit.inference.viewer"):
        importlib.import_module(name)
    for modality in ("image", "nerf"):
        load_plugins().modality(modality)
    torch.empty(1, device="meta").exp()  # its first computation imports half of PyTorch


def _become(work: Callable[[], object], folder: Path, out: int, err: int) -> NoReturn:
    """The child: other standard files, signals as a program has them from a shell, and no way back."""
    code = 1
    try:
        os.setpgid(0, 0)
        os.chdir(folder)
        null = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((null, 0), (out, 1), (err, 2)):
            os.dup2(source, target)
        sys.stdout, sys.stderr = (open(number, "w", closefd=False) for number in (1, 2))  # noqa: SIM115
        logging.getLogger().handlers.clear()  # warnings go to the standard error, whoever started us
        for number in _SIGNALS:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        work()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _pipe() -> tuple[int, int]:
    read, write = os.pipe()
    os.set_blocking(read, False)
    with contextlib.suppress(OSError):
        fcntl.fcntl(write, _PIPE, _ROOM)
    return read, write


def _read(descriptor: int) -> str:
    data = b""
    with contextlib.suppress(BlockingIOError):
        while part := os.read(descriptor, 1 << 16):
            data += part
    os.close(descriptor)
    return data.decode(errors="backslashreplace")


def children_of(pid: int) -> Sequence[int]:
    """The processes that a process has started."""
    with contextlib.suppress(OSError):
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []
