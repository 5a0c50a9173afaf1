"""Tables: never wider than a terminal, and plain columns where another program reads them."""

import csv
import json
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from terminal import terminal

from inrkit.cli import option
from inrkit.cli.output import note, say, say_json
from inrkit.cli.table import Table, say_result

HEAD = ["system", "parameters", "FLOPs per sample", "training steps", "reconstruction PSNR", "Fréchet, 1 step"]
ROWS = [["first", 123456, 1.5e9, 3000, 24.25, 1.25], ["second \x1b[31m", 7, None, 3000, 25.5, 1.125]]


def test_a_wide_table_is_turned_on_its_side() -> None:
    """Where it fits, it stands upright; nothing is cut off, and names do nothing to the terminal."""
    with terminal(80, out=True) as narrow:
        say_result({}, [Table(HEAD, ROWS)], as_json=False)
    assert max(map(len, narrow.lines)) <= 80
    assert len(narrow.lines) == 1 + len(HEAD)
    assert "reconstruction PSNR   24.25     25.5" in "\n".join(narrow.lines)
    assert "\\x1b[31m" in "\n".join(narrow.lines)
    with terminal(160, out=True) as wide:
        say_result({}, [Table(HEAD, ROWS)], as_json=False)
    assert len(wide.lines) == 2 + len(ROWS)


def test_a_table_that_fits_in_neither_way_is_broken() -> None:
    """Into groups of columns beside the first one, each without the rows that are empty there; no cell is folded."""
    names = [f"figure number {i} of many more" for i in range(12)]
    rows = [[name, *("" if (i + k) % 2 else f"{i}.{k} ± 0.123" for k in range(5))] for i, name in enumerate(names)]
    head = ["", *(f"signals of sort {k}" for k in range(5))]
    with terminal(80, out=True) as seen:
        say_result({}, [Table(head, rows)], as_json=False)
    text = "\n".join(seen.lines)
    assert max(map(len, seen.lines)) <= 80
    assert all(cell in text for row in [head, *rows] for cell in row)
    with terminal(60, out=True) as narrow:
        say_result({}, [Table(head, rows)], as_json=False)
    assert sum(line.split("  ")[0].strip() in names for line in narrow.lines) == 12 * 5 // 2


def test_long_cells_are_folded_in_a_terminal() -> None:
    """At words, within their column."""
    with terminal(60, out=True) as seen:
        say_result({}, [Table(["what", ""], [["plugin", "word " * 40], ["where", "x" * 100]])], as_json=False)
    assert max(map(len, seen.lines)) <= 60
    assert "\n".join(seen.lines).count("word") == 40
    assert "\n".join(seen.lines).count("x") == 100


def test_a_pipe_gets_plain_columns(capsys: pytest.CaptureFixture[str]) -> None:
    """One line for each row however long it is, without rules; JSON holds all."""
    assert not sys.stdout.isatty()
    say_result({}, [Table(["what", ""], [["plugin", "word " * 100], ["other", 1]])], as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["what", "plugin", "other"]
    assert lines[1].count("word") == 100
    say_json({"rows": list(range(100))})
    assert json.loads(capsys.readouterr().out) == {"rows": list(range(100))}


# ---------------------------------------------------------------------------------------------- files


@click.command()
@option.table
@option.as_json
def shows(as_json: bool) -> None:
    """Two tables."""
    say_result(
        {"x": 1},
        [Table(HEAD, ROWS, "a note"), Table(["what", ""], [["50 % of R&D_1", "28.1 ± .2 dB ↑"]])],
        as_json=as_json,
    )


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_tables_go_into_a_file_as_well(tmp_path: Path, flags: list[str]) -> None:
    """As CSV with numbers as they are, or as LaTeX whose marks are escaped; whatever is printed."""
    for name in ("t.csv", "t.tex"):
        done = CliRunner().invoke(shows, [*flags, "--table", str(tmp_path / name)])
        assert done.exit_code == 0, done.output
        assert f"{tmp_path / name}: 2 tables" in done.stderr
    first, second = (tmp_path / "t.csv").read_text().split("\n\n")
    rows = list(csv.reader(first.splitlines()))
    assert rows[0] == HEAD
    assert rows[1] == ["first", "123456", "1500000000.0", "3000", "24.25", "1.25"]
    assert list(csv.reader(second.splitlines()))[1] == ["50 % of R&D_1", "28.1 ± .2 dB ↑"]
    latex = (tmp_path / "t.tex").read_text()
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == 2
    assert r"\begin{tabular}{lrrrrr}" in latex
    assert r"50 \% of R\&D\_1 & 28.1 $\pm$ .2 dB $\uparrow$ \\" in latex


def test_where_tables_go_is_checked_first(tmp_path: Path) -> None:
    """Before anything is computed."""
    for path, why in ((tmp_path / "t.xls", "ends with .csv or .tex"), (tmp_path / "no" / "t.csv", "found none at")):
        done = CliRunner().invoke(shows, ["--table", str(path)])
        assert why in str(done.exception), done.output


def test_prose_is_folded_at_words_in_a_terminal_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """Paths stay whole, so that they can be copied; what a pipe gets is one line."""
    line = f"runs/{'x' * 50}/report.html and 24 words more: {'word ' * 24}".strip()
    with terminal(60, out=True) as seen:
        say(line)
        note(line)
    assert max(map(len, seen.lines)) <= 67  # the path alone
    assert sum(f"runs/{'x' * 50}/report.html" in part for part in seen.lines) == 2
    say(line)
    assert capsys.readouterr().out == f"{line}\n"
