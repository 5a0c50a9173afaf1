"""Every notebook runs from its first cell to its last, and its cells show what they end with."""

import ast
import sys
import types
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "examples" / "notebooks").glob("*.py"))


def cells(path: Path) -> list[str]:
    """The cells of code of a notebook in the percent format."""
    return [cell.split("\n", 1)[1] for cell in path.read_text().split("# %%")[1:] if cell.startswith("\n")]


def run(path: Path) -> list[Any]:
    """What each cell that ends with an expression shows."""
    module, shown = types.ModuleType(path.stem), []
    for cell in cells(path):
        *before, last = ast.parse(cell).body
        after = ast.Expression(last.value) if isinstance(last, ast.Expr) else None
        body = before if after else [*before, last]
        exec(compile(ast.Module(body, []), str(path), "exec"), module.__dict__)
        if after:
            shown.append(eval(compile(after, str(path), "eval"), module.__dict__))
    return shown


def test_there_are_notebooks() -> None:
    """A new modality among them, whose code fits on a page."""
    assert len(NOTEBOOKS) == 3
    (path,) = [path for path in NOTEBOOKS if path.stem == "new_modality"]
    code = [line for cell in cells(path) for line in cell.splitlines() if line.strip()]
    assert len(code) <= 50


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Models, predictions and opened files are shown as pictures or HTML, whatever else in a line."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    pictures = 0
    for value in run(path):
        if hasattr(value, "_repr_png_"):
            assert value._repr_png_().startswith(b"\x89PNG")
            pictures += 1
        elif hasattr(value, "_repr_html_"):
            assert value._repr_html_().startswith("<table>")
        assert "\n" not in repr(value)
    assert pictures >= 2
    assert "IPython" not in sys.modules
