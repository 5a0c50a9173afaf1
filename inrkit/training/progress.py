"""How far a run is: one bar in a terminal or a notebook, a plain line now and then elsewhere.

Everything goes to standard error; in a notebook, which shows that as an alarm, to standard output.
"""

import sys
import time
from collections.abc import Mapping, Sequence
from typing import final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from inrkit.progress import TextBar, bar_of, folded, in_notebook

_TASK = TaskID(0)  # the only one
_PATIENCE = 10.0
_PAUSE = 0.2  # in a notebook
_ABOUT = len("network   ")
_MEMORY = 0.95
_OTHERS = 10 + 1 + 7 + 4 + 5  # columns of the bar, the slash, the time and its word, and between them


@final
class RunProgress:
    """Phase, step, loss (smoothed), rate, time left, and the last held-out PSNR.

    ``shown`` is False for silence, None for whatever suits standard error.
    """

    def __init__(self, steps: int, batch_size: int, shown: bool | None) -> None:
        self.steps, self.start, self.batch_size = steps, 0, batch_size
        self._silent = shown is False
        console = Console(stderr=True)
        self._bar = None if self._silent or not console.is_terminal else _bar(console, steps)
        self._line = TextBar() if in_notebook() else None
        self._patience = _PATIENCE if self._line is None else _PAUSE
        self._begin = self._last = time.monotonic()
        self._expected: float | None = None
        self._phase: str | None = None
        self._smooth: dict[str, float] = {}
        self._psnr: float | None = None

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()

    def expect(self, seconds: float) -> None:
        """How long the whole run will take, which is shown until steps say it better."""
        self._expected = seconds

    def begin(self, start: int, about: Sequence[str]) -> None:
        """The run begins, or goes on, at this step; lines say what it is about."""
        self.start, self._begin = start, time.monotonic()
        for line in about:
            self.say(line, indent=_ABOUT)
        if self._bar is not None:
            self._bar.start()
            left = None if self._expected is None else self._expected * (1 - start / self.steps)
            self._bar.update(_TASK, completed=start, total=self.steps, left=left)
        if start:
            self.say(f"resumed at step {start} of {self.steps}")

    def stage(self, text: str) -> None:
        """What is being done after the last step."""
        if self._bar is None:
            self.say(text)
        else:
            self._bar.start()
            self._bar.update(_TASK, description=text, total=None, text="", left=None)

    def say(self, text: str, *, indent: int = 2) -> None:
        """A line of its own, indented where a terminal folds it."""
        if self._bar is not None:
            text = folded(text, sys.stderr, indent=indent)
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)
        elif not self._silent:
            print(text, file=sys.stderr if self._line is None else sys.stdout, flush=True)

    def heldout(self, values: Mapping[str, float]) -> None:
        self._psnr = values.get("psnr", self._psnr)

    def step(self, number: int, phase: str, values: Mapping[str, float]) -> None:
        """After each step."""
        if self._silent:
            return
        if self._phase not in (None, phase):
            self.say(f"step {number}: the phase '{phase}' begins, with a loss of its own")
        if phase != self._phase or values.keys() != self._smooth.keys():
            self._phase, self._smooth = phase, {}
        for name, value in values.items():
            self._smooth[name] = _MEMORY * self._smooth.get(name, value) + (1 - _MEMORY) * value
        now = time.monotonic()
        parts, done = self._parts(number, values, now), number - self.start
        left = (now - self._begin) / done * (self.steps - number)
        if self._bar is not None:
            room = self._bar.console.width - len(phase) - 2 * len(str(self.steps)) - _OTHERS
            self._bar.update(_TASK, completed=number, description=phase, text=_fitting(parts, room), left=left)
        elif now - self._last >= self._patience or number in (self.start + 1, self.steps):
            self._last, rest = now, f"{phase}  {'  '.join(parts)}  {_clock(left)} left"
            if self._line is None:
                self.say(f"step {number}/{self.steps}  {rest}")
            else:
                self._line.draw(f"{bar_of(number, self.steps)}  {rest}")

    def _parts(self, number: int, values: Mapping[str, float], now: float) -> list[str]:
        """What there is to say, the most important first: the loss, how good it is, how fast, and the loss's parts."""
        rate = (number - self.start) * self.batch_size / max(now - self._begin, 1e-9)
        losses = [f"{name.removeprefix('loss/')} {self._smooth[name]:.4g}" for name in values if name != "norm"]
        heldout = [] if self._psnr is None else [f"{self._psnr:.1f} dB held out"]
        return [*losses[:1], *heldout, f"{rate:.0f} signals/s" if rate >= 10 else f"{rate:.2g} signals/s", *losses[1:]]


def _fitting(parts: Sequence[str], room: int) -> str:
    """As many of the first parts as there is room for."""
    text = ""
    for part in parts:
        if len(text) + len(part) + 2 > room:
            break
        text += f"  {part}" if text else part
    return text


@final
class _TimeLeft(ProgressColumn):
    """By the pace of late; before there is one, by that of all steps so far, or by what was expected."""

    def render(self, task: Task) -> Text:
        left = task.fields["left"] if task.time_remaining is None else task.time_remaining
        return Text("" if left is None else f"{_clock(left):>7} left", style="progress.remaining")


def _bar(console: Console, steps: int) -> Progress:
    bar = Progress(
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")),
        BarColumn(bar_width=10),
        MofNCompleteColumn(),
        TextColumn("{task.fields[text]}", markup=False, table_column=Column(no_wrap=True, ratio=1)),
        _TimeLeft(table_column=Column(no_wrap=True)),
        console=console,
        expand=True,
    )
    bar.add_task("", total=steps, text="", left=None)
    return bar


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
