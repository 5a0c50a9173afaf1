"""Ctrl-C, SIGTERM and SIGHUP: finish the step, save, leave. A second Ctrl-C leaves at once.

Only a process that does nothing but train should be told so: see `process_setup`.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any, ClassVar, final

from inrkit.errors import InrkitError
from inrkit.machine.memory import keep_freed_memory

_ALWAYS = signal.SIGINT, signal.SIGTERM
_NUMBERS = (*_ALWAYS, signal.SIGHUP) if hasattr(signal, "SIGHUP") else _ALWAYS  # Windows has none


class StoppedError(InrkitError):
    """A command was stopped by a signal. The same command goes on from what was saved."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.signal = number
        self.exit_code = 128 + number


class Interrupted(KeyboardInterrupt):
    """What a signal, whose number it has, raises where nothing has to be finished first."""


@final
class StopRequest:
    """What the process was asked by signals; the one that listens is `StopRequest.current`.

    A signal raises `Interrupted`; but within ``with stop.deferred():`` it is only noted in ``stop.signal`` (0: none),
    unless it is the second Ctrl-C. What was raised is in ``stop.raised`` (0: nothing), since code that is not Python's
    may have made another error of it, or none.
    """

    current: ClassVar["StopRequest"]

    def __init__(self) -> None:
        self.signal, self.raised, self._defers = 0, 0, False

    @contextlib.contextmanager
    def deferred(self) -> Iterator["StopRequest"]:
        """Inside, whoever trains looks at ``signal`` between steps."""
        self.signal, self._defers = self.signal or self.raised, True
        try:
            yield self
        finally:
            self._defers = False

    @contextlib.contextmanager
    def listening(self) -> Iterator["StopRequest"]:
        """Catches the signals, in the main thread; elsewhere they cannot be caught, and nothing is changed."""
        handlers: dict[int, Any] = {}
        outer, StopRequest.current = StopRequest.current, self
        try:
            if threading.current_thread() is threading.main_thread():
                for number in _NUMBERS:
                    if number not in _ALWAYS and signal.getsignal(number) == signal.SIG_IGN:  # nohup
                        continue
                    handlers[number] = signal.signal(number, self._note)
            yield self
        finally:
            StopRequest.current = outer
            for caught, handler in handlers.items():
                signal.signal(caught, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if not self._defers or (number == signal.SIGINT and self.signal == signal.SIGINT):
            self.raised = number
            raise Interrupted(number)
        self.signal = number


StopRequest.current = StopRequest()


@contextlib.contextmanager
def ended_at_once() -> Iterator[None]:
    """Inside, signals end the process at once: our handlers would have to wait for code that is not Python's.

    For waiting before there is anything to save.
    """
    handlers: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        handlers = {number: handler for number in _NUMBERS if callable(handler := signal.getsignal(number))}
    for number in handlers:
        signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def process_setup() -> Iterator[None]:
    """For a process that does nothing but train; `inrkit train` is one, a program that calls `inrkit.train` may be.

    Inside, SIGINT (Ctrl-C), SIGTERM and SIGHUP end a run after saving instead of killing it, as `StoppedError`.
    From now on, freed memory is kept (glibc), which makes small models a fifth faster on a CPU.
    """
    keep_freed_memory()
    stop = StopRequest()
    try:
        with stop.listening():
            yield
    except (Interrupted, Exception) as error:
        if not stop.raised:
            raise
        text = f"stopped by {signal.Signals(stop.raised).name}; the same command goes on from what was saved before"
        raise StoppedError(stop.raised, text) from error
