"""Tables: laid out for the terminal that is there, as plain columns in a pipe, and as CSV or LaTeX in a file."""

import csv
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from inrkit.cli.failure import printable, rank
from inrkit.cli.output import note, say, say_json, shown
from inrkit.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table as Drawn

KEY = "inrkit.table"  # of the file that --table names, in a context of click
_PIPED_WIDTH = 10_000  # rows that another program reads are not to be folded
_TEX = {
    **{mark: f"\\{mark}" for mark in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "λ": r"$\lambda$",
    "σ": r"$\sigma$",
}


class Table(NamedTuple):
    """A head, rows, and what is to be known of them."""

    head: Sequence[str]
    rows: Sequence[Sequence[Any]]
    note: str = ""


def say_table(table: Table) -> None:
    """One table on stdout, and what is to be known of it."""
    _say_table(table)
    if table.note:
        say(table.note)


def say_result(facts: Any, tables: Sequence[Table], *, as_json: bool, said: bool = False) -> None:
    """What a command found: all of it as JSON, or tables on stdout; and tables in the file that --table names.

    ``said`` tables stand on stdout already.
    """
    for table in () if as_json or said else tables:
        say_table(table)
    if as_json:
        say_json(facts)
    if (path := kept_in()) is not None and rank() == 0:
        from inrkit.storage.atomic import write_text

        write_text(path, _FORMATS[path.suffix](tables))
        note(f"{path}: {len(tables)} table{'s' if len(tables) > 1 else ''}")


def kept_in() -> Path | None:
    """The file that --table names, if any."""
    context = click.get_current_context(silent=True)
    return None if context is None else context.meta.get(KEY)


def keep(context: click.Context, parameter: click.Parameter, path: Path | None) -> None:
    """Where tables are to be written, checked before there are any."""
    if path is None:
        return
    if path.suffix not in _FORMATS:
        raise UsageError(f"{path}: expected a file that ends with {' or '.join(_FORMATS)}; 'inrkit ... --json' has all")
    if not path.parent.is_dir():
        raise UsageError(f"{path}: expected to write into an existing folder, found none at {path.parent}; make it")
    context.meta[KEY] = path


# ---------------------------------------------------------------------------------------------- on stdout


def _say_table(found: Table) -> None:
    """Never wider than a terminal, where a wide one is turned on its side, or else broken; plain in a pipe."""
    from rich.console import Console
    from rich.measure import Measurement

    terminal = sys.stdout.isatty()
    console = Console(file=sys.stdout, width=None if terminal else _PIPED_WIDTH)
    cells = [list(found.head), *([printable(shown(cell)) for cell in row] for row in found.rows)]
    table, turned = _drawn(cells, terminal=terminal), _drawn(list(zip(*cells, strict=True)), terminal=terminal)
    free = console.options.update(max_width=_PIPED_WIDTH)
    width, other = (Measurement.get(console, free, one).maximum for one in (table, turned))
    if width <= console.width or len(found.head) <= 3:
        parts = [table]
    else:
        parts = (
            [turned] if other <= console.width else [_drawn(p, terminal=True) for p in _broken(cells, console.width)]
        )
    with console.capture() as captured:
        for part in parts:
            console.print(part)
    lines = [line.rstrip() for line in captured.get().splitlines() if line.strip()]
    if rank() == 0:
        click.echo("\n".join(lines))


def _broken(cells: Sequence[Sequence[str]], width: int) -> list[list[list[str]]]:
    """The first column beside as many of the others as fit, and again beside the next; rows that are empty there go."""
    from rich.cells import cell_len

    widths = [max(map(cell_len, column)) + 3 for column in zip(*cells, strict=True)]
    groups: list[list[int]] = [[]]
    for i in range(1, len(widths)):
        if groups[-1] and widths[0] + sum(widths[k] for k in groups[-1]) + widths[i] > width:
            groups.append([])
        groups[-1].append(i)
    filled = [(group, [row for row in cells[1:] if any(row[i] for i in group)]) for group in groups]
    return [[[row[0], *(row[i] for i in group)] for row in [cells[0], *rows]] for group, rows in filled]


def _drawn(cells: Sequence[Sequence[str]], *, terminal: bool) -> "Drawn":
    """The first row is the head."""
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table as Drawn
    from rich.text import Text

    table = Drawn(box=SIMPLE_HEAD if terminal else None, pad_edge=False, padding=(0, 1))
    for name in cells[0]:
        table.add_column(escape(name), overflow="fold")
    for row in cells[1:]:
        table.add_row(*map(Text, row))
    return table


# ---------------------------------------------------------------------------------------------- in a file


def as_csv(tables: Sequence[Table]) -> str:
    """Tables one below the other, an empty line between them; numbers as they are."""
    parts = []
    for table in tables:
        buffer = io.StringIO()
        plain = [[cell if isinstance(cell, int | float) else shown(cell) for cell in row] for row in table.rows]
        csv.writer(buffer, lineterminator="\n").writerows([table.head, *plain])
        parts.append(buffer.getvalue())
    return "\n".join(parts)


def as_latex(tables: Sequence[Table]) -> str:
    """A `tabular` of the package booktabs for each table; figures to the right, words to the left."""
    return "\n".join(map(_tabular, tables))


def _tabular(table: Table) -> str:
    cells = [[shown(cell) for cell in row] for row in table.rows]
    numeric = [any(row[i][:1].isdecimal() for row in cells) for i in range(len(table.head))]
    columns = "".join("r" if right else "l" for right in [False, *numeric[1:]])
    head, *body = (" & ".join(map(_tex, row)) + r" \\" for row in [table.head, *cells])
    note = [f"% {line}" for line in table.note.splitlines()]
    lines = [*note, rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head, r"\midrule", *body, r"\bottomrule"]
    return "\n".join([*lines, r"\end{tabular}"]) + "\n"


def _tex(text: str) -> str:
    return "".join(_TEX.get(letter, letter) for letter in text)


_FORMATS = {".csv": as_csv, ".tex": as_latex}
