"""Tables: never wider than a terminal, and plain columns where another program reads them."""

import json
import sys

import pytest
from terminal import terminal

from inrkit.cli.output import say_json, say_table

HEAD = ["system", "parameters", "FLOPs per sample", "training steps", "reconstruction PSNR", "Fréchet, 1 step"]
ROWS = [["first", 123456, 1.5e9, 3000, 24.25, 1.25], ["second \x1b[31m", 7, None, 3000, 25.5, 1.125]]


def test_a_wide_table_is_turned_on_its_side() -> None:
    """Where it fits, it stands upright; nothing is cut off, and names do nothing to the terminal."""
    with terminal(80, out=True) as narrow:
        say_table(HEAD, ROWS)
    assert max(map(len, narrow.lines)) <= 80
    assert len(narrow.lines) == 1 + len(HEAD)
    assert "reconstruction PSNR   24.25     25.5" in "\n".join(narrow.lines)
    assert "\\x1b[31m" in "\n".join(narrow.lines)
    with terminal(160, out=True) as wide:
        say_table(HEAD, ROWS)
    assert len(wide.lines) == 2 + len(ROWS)


def test_long_cells_are_folded_in_a_terminal() -> None:
    """At words, within their column."""
    with terminal(60, out=True) as seen:
        say_table(["what", ""], [["plugin", "word " * 40], ["where", "x" * 100]])
    assert max(map(len, seen.lines)) <= 60
    assert "\n".join(seen.lines).count("word") == 40
    assert "\n".join(seen.lines).count("x") == 100


def test_a_pipe_gets_plain_columns(capsys: pytest.CaptureFixture[str]) -> None:
    """One line for each row however long it is, without rules; JSON holds all."""
    assert not sys.stdout.isatty()
    say_table(["what", ""], [["plugin", "word " * 100], ["other", 1]])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["what", "plugin", "other"]
    assert lines[1].count("word") == 100
    say_json({"rows": list(range(100))})
    assert json.loads(capsys.readouterr().out) == {"rows": list(range(100))}
