"""How far work is that takes its time: whoever does it calls a `Progress`, whoever began it decides what that shows."""

import builtins
import importlib
import shutil
import sys
import textwrap
import time
from typing import Any, Protocol, TextIO, final


class Progress(Protocol):
    """Called with how much is done, how much there is if that is known, and what is being done.

    Laws, within what is being done (``what``): ``done`` never falls, ``total`` stays what it was, and the last call
    has ``done == total`` where the total is known.
    """

    def __call__(self, done: int, total: int | None = None, what: str = "") -> None: ...


def quiet(done: int, total: int | None = None, what: str = "") -> None:
    """The `Progress` that shows nothing."""


@final
class TextBar:
    """A `Progress` of one line of text that is drawn over itself: below the cell in a notebook, on standard error in a
    terminal, and nowhere else.

    ``model.encode(paths, progress=inrkit.TextBar())``
    """

    def __init__(self) -> None:
        self._notebook = in_notebook()
        self._terminal = sys.stderr.isatty()
        self._handle: Any = None
        self._last = 0.0

    def __call__(self, done: int, total: int | None = None, what: str = "") -> None:
        last = done == total
        if last or time.monotonic() - self._last >= _PAUSE:
            self.draw(f"{what or 'done'}  {bar_of(done, total)}", last=last)

    def draw(self, text: str, *, last: bool = False) -> None:
        """The line, in place of what it was."""
        self._last = time.monotonic()
        if self._notebook:
            display = importlib.import_module("IPython.display").display
            shown = {"text/plain": text}
            if self._handle is None:
                self._handle = display(shown, raw=True, display_id=True)
            else:
                self._handle.update(shown, raw=True)
        elif self._terminal:
            sys.stderr.write(f"\r\x1b[K{text}" + "\n" * last)
            sys.stderr.flush()


def in_notebook() -> bool:
    """Whether what we show appears below a cell of Jupyter, Colab or their like."""
    shell = getattr(builtins, "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell" or "google.colab" in type(shell).__module__


def bar_of(done: int, total: int | None) -> str:
    """How much of it is done, as a bar and in figures."""
    if not total:
        return str(done)
    full = round(_WIDTH * done / total)
    return f"{'█' * full}{'░' * (_WIDTH - full)} {done}/{total}"


def folded(text: str, stream: TextIO, *, indent: int = 2) -> str:
    """A line of prose for this stream: in a terminal it is folded at words, and words, such as paths, stay whole.

    ``indent`` is that of all lines but the first.
    """
    if "\n" in text or not stream.isatty():
        return text
    width, hang = shutil.get_terminal_size().columns, " " * indent
    return textwrap.fill(
        text, width, subsequent_indent=hang, break_long_words=False, break_on_hyphens=False, replace_whitespace=False
    )


_WIDTH = 20  # characters of a bar
_PAUSE = 0.1  # seconds between two drawings
