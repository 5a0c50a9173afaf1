"""Printing: results to stdout, as lines or JSON; progress to stderr, and only from one process."""

import contextlib
import json
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from inrkit.cli.failure import printable, rank
from inrkit.progress import Progress, folded, quiet

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

_LISTED = 16  # things that a cell names; programs read all of them as JSON
_LIVE: list["Bars"] = []
_NOTHING: tuple[int, int | None] = (0, None)
_PAUSE = 0.02  # seconds between two looks of a bar


def say(text: str) -> None:
    """A result, on stdout."""
    if rank() == 0:
        click.echo(folded(printable(text), sys.stdout))


def note(text: str) -> None:
    """Something by the way, on stderr, above the bar if there is one."""
    if rank() == 0 and _LIVE:
        _LIVE[-1].console.print(folded(printable(text), sys.stderr), markup=False, highlight=False, soft_wrap=True)
    elif rank() == 0:
        click.echo(folded(printable(text), sys.stderr), err=True)


def say_json(value: Any) -> None:
    """A result as JSON, on stdout."""
    if rank() == 0:
        click.echo(printable(json.dumps(value, indent=2, ensure_ascii=False, default=str)))


def shown(value: Any) -> str:
    """A value as people read it."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{key} {shown(part)}" for key, part in value.items())
    if isinstance(value, list | tuple):
        texts = [shown(part) for part in value[:_LISTED]]
        return ", ".join([*texts, f"... ({len(value)} in all)"] if len(value) > _LISTED else texts)
    return str(value)


def shown_bytes(count: float) -> str:
    """1.5 MiB."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def shown_count(count: float) -> str:
    """1.5 T: a number of operations."""
    for unit in ("", "k", "M", "G", "T"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.4g} P"


def shown_time(seconds: float) -> str:
    """40 seconds, 7.5 minutes, 3.2 hours, 12 days."""
    for unit, length, most in (("seconds", 1, 90), ("minutes", 60, 90), ("hours", 3600, 48)):
        if seconds / length < most:
            return f"{seconds / length:.3g} {unit}"
    days = seconds / 86400
    return f"{days:,.0f} days" if days >= 100 else f"{days:.3g} days"


@contextlib.contextmanager
def bar(what: str) -> Iterator[Progress]:
    """A bar on stderr where that is a terminal, else nothing."""
    if rank() != 0 or not sys.stderr.isatty():
        yield quiet
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars
    from rich.table import Column

    # In a narrow terminal the words are cut off, never the figures.
    words = TextColumn("{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1))
    figures = (BarColumn(bar_width=20), MofNCompleteColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Bars(words, *figures, console=Console(stderr=True), transient=True, expand=True) as bars:
        task, stage, shown_at, latest = bars.add_task(what, total=None), what, 0.0, _NOTHING

        def show(done: int, total: int | None = None, what: str = "") -> None:
            nonlocal task, stage, shown_at, latest
            if what not in ("", stage):  # other work has another pace
                bars.remove_task(task)
                task, stage, shown_at = bars.add_task(what, total=total), what, 0.0
            latest = (done, total)
            if done == total or time.monotonic() - shown_at >= _PAUSE:
                shown_at = time.monotonic()
                bars.update(task, completed=done, total=total)

        _LIVE.append(bars)
        try:
            yield show
        finally:
            _LIVE.pop()
        bars.update(task, completed=latest[0], total=latest[1])
