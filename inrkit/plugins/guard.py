"""Loading a plugin under guard: its output is held back, its time is limited, what all share is put back."""

import contextlib
import io
import math
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, final

import attrs

from inrkit.errors import PluginError, UsageError
from inrkit.plugins.globalstate import unchanged

SECONDS = "INRKIT_PLUGIN_SECONDS"
"""The environment variable that says how long a plugin may take to load."""
_DEFAULT = 5.0
_SLOW = 1.0  # seconds that are worth a remark: every command waits for them


class TooSlow(BaseException):
    """Raised where a plugin is when its time is over; no ordinary ``except`` of the plugin catches it."""


@final
@attrs.define
class Watched:
    """What was seen of the block that ran."""

    printed: str = ""
    complained: str = ""
    changed: list[str] = attrs.field(factory=list)
    seconds: float = 0.0
    late: bool = False
    torch: bool = False

    def remarks(self) -> Iterator[str]:
        """What it should leave alone, in one line each."""
        if self.torch:
            yield f"it imports torch, {self.seconds:.1f} s for every command; import it where it is used"
        elif self.seconds > _SLOW:
            yield f"it takes {self.seconds:.1f} s to load, as every command does with it; import where it is used"
        if self.changed:
            yield f"it changes {', '.join(dict.fromkeys(self.changed))}"
        if self.complained:
            yield f"it writes to stderr while it is loaded: {self.complained!r}"


@contextlib.contextmanager
def guarded(limit: float) -> Iterator[Watched]:
    """Runs the block under guard. `PluginError` when it printed or took longer than ``limit`` seconds; other errors
    pass through.
    """
    watched = Watched()
    had_torch, begin = "torch" in sys.modules, time.perf_counter()
    late = f"it takes longer than {limit:g} s to load; {SECONDS} allows more"
    try:
        with _captured(watched), unchanged() as watched.changed, _within(limit):
            yield watched
    except TooSlow as error:
        watched.late = True
        raise PluginError(late) from error
    watched.seconds = time.perf_counter() - begin
    watched.torch = "torch" in sys.modules and not had_torch
    watched.late = watched.seconds > limit  # where no signal could end it
    if watched.late:
        raise PluginError(late)
    if watched.printed:
        raise PluginError(f"it prints while it is loaded: {watched.printed!r}")


def seconds_allowed() -> float:
    """How long a plugin may take to load."""
    text = os.environ.get(SECONDS)
    if text is None:
        return _DEFAULT
    with contextlib.suppress(ValueError):
        if (seconds := float(text)) > 0 and math.isfinite(seconds):
            return seconds
    raise UsageError(f"'{SECONDS}' must be a number of seconds > 0 (got {text!r})")


@contextlib.contextmanager
def _within(seconds: float) -> Iterator[None]:
    """Raises `TooSlow` in the block after so long, and again every second, where it is caught."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def over(number: int, frame: Any) -> None:
        raise TooSlow

    begin, before = time.perf_counter(), signal.signal(signal.SIGALRM, over)
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if left:  # somebody else's alarm
            signal.setitimer(signal.ITIMER_REAL, max(left - (time.perf_counter() - begin), 1e-3), interval)


@contextlib.contextmanager
def _captured(watched: Watched) -> Iterator[None]:
    """Holds back what the block writes to stdout and stderr, from Python or from C."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.ExitStack() as stack:
        raw_out, raw_err = (stack.enter_context(_file_for(number)) for number in (1, 2))
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                yield
            finally:
                watched.printed = _short(out.getvalue() + raw_out())
                watched.complained = _short(err.getvalue() + raw_err())


@contextlib.contextmanager
def _file_for(descriptor: int) -> Iterator[Callable[[], str]]:
    """A file in place of a descriptor, as code in C sees it; what it gives reads the file."""
    with contextlib.ExitStack() as stack:
        try:
            kept = os.dup(descriptor)
            stack.callback(os.close, kept)
            file = stack.enter_context(tempfile.TemporaryFile())
        except OSError:  # it is closed, or the disk is full: no reason to do without plugins
            yield lambda: ""
            return
        os.dup2(file.fileno(), descriptor)
        stack.callback(os.dup2, kept, descriptor)
        yield lambda: os.pread(file.fileno(), 200, 0).decode(errors="replace")


def _short(text: str) -> str:
    return " ".join(text.split())[:60]
