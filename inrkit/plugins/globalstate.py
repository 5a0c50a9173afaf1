"""What all of a program shares and an import should leave alone: noted before a plugin is loaded, put back after.

Of a library that has not been imported nothing is noted, and none is imported for it.
"""

import contextlib
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any, final

import attrs

_STOPS = (signal.SIGINT, signal.SIGTERM)


@final
@attrs.frozen
class State:
    """One thing that can be changed: how it is read, and how it is put back."""

    name: str
    read: Callable[[], Any]
    put_back: Callable[[Any], Any]


@contextlib.contextmanager
def unchanged() -> Iterator[list[str]]:
    """Puts back what the block changes; the list that it gives names those things in the end."""
    changed: list[str] = []
    environment, before = dict(os.environ), [(state, state.read()) for state in _states()]
    with _same_filters(changed):
        try:
            yield changed
        finally:
            for state, value in before:
                if state.read() != value:
                    changed.append(state.name)
                    state.put_back(value)
            # Left as they are, since a library that set them for itself would miss them.
            names = sorted(n for n in {*environment, *os.environ} if environment.get(n) != os.environ.get(n))
            if names:
                changed.append(f"environment variables ({', '.join(names)})")


@contextlib.contextmanager
def _same_filters(changed: list[str]) -> Iterator[None]:
    """Filters of warnings as before, but for narrow ones, which libraries may add for messages of their own."""
    added: list[Any] = []
    with warnings.catch_warnings():
        before = list(warnings.filters)
        try:
            yield
        finally:
            added = [entry for entry in warnings.filters if entry not in before]
    for action, message, category, module, line in reversed(added):
        if message is None and module is None:
            changed.append("filters of all warnings")
        else:
            warnings.filterwarnings(action, _pattern(message), category, _pattern(module), line)


def _pattern(regex: Any) -> str:
    return regex if isinstance(regex, str) else getattr(regex, "pattern", "")


def _states() -> Iterator[State]:
    yield State("the working directory", _directory, _go_back)
    yield State("the handlers of signals", _handlers, _handle_again)
    yield State("sys.excepthook", lambda: sys.excepthook, lambda hook: setattr(sys, "excepthook", hook))
    yield State("the recursion limit", sys.getrecursionlimit, sys.setrecursionlimit)
    if (random := sys.modules.get("random")) is not None:
        yield State("the state of random", random.getstate, random.setstate)
    if (logging := sys.modules.get("logging")) is not None:
        root = logging.getLogger()
        yield State("the handlers of logging", lambda: list(root.handlers), lambda kept: _keep(root.handlers, kept))
        yield State("the level of logging", lambda: root.level, root.setLevel)
    if (torch := sys.modules.get("torch")) is not None:
        yield State("torch's default type", torch.get_default_dtype, torch.set_default_dtype)
        yield State("torch's threads", torch.get_num_threads, torch.set_num_threads)
        yield State("torch's gradient mode", torch.is_grad_enabled, torch.set_grad_enabled)
        yield State("torch's random state", lambda: torch.get_rng_state().numpy().tobytes(), _random_again)


def _keep(handlers: list[Any], kept: list[Any]) -> None:
    handlers[:] = kept


def _random_again(state: bytes) -> None:
    torch = sys.modules["torch"]
    torch.set_rng_state(torch.frombuffer(bytearray(state), dtype=torch.uint8))


def _directory() -> str | None:
    with contextlib.suppress(OSError):
        return os.getcwd()
    return None


def _go_back(path: str | None) -> None:
    if path is not None:
        with contextlib.suppress(OSError):
            os.chdir(path)


def _handlers() -> list[Any]:
    return [signal.getsignal(number) for number in _STOPS]


def _handle_again(handlers: list[Any]) -> None:
    if threading.current_thread() is threading.main_thread():
        for number, handler in zip(_STOPS, handlers, strict=True):
            if handler is not None:
                signal.signal(number, handler)
