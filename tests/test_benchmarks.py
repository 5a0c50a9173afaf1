"""Every benchmark runs at a tiny size and prints its figures. Nothing here depends on how fast anything is."""

import importlib
import json
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from inrkit.config.resolve import resolve

FOLDER = Path(__file__).parents[1] / "benchmarks"
SHARED = {"measure", "model", "reference"}
SMALL = ["--threads", "1", "--rounds", "1", "--matmul", "32"]

# Script: arguments, columns that hold positive numbers, number of rows.
TABLES = {
    "training": (["--width", "64", "--batch", "4", *SMALL], ["ms/step", "GFLOP", "of matmul", "x reference"], 3),
    "sampling": (
        ["--width", "64", "--batch", "2", "--size", "32", "--scale", "1", "2", *SMALL],
        ["ms/sample", "GFLOP/sample", "of matmul", "x reference"],
        6,
    ),
    "rendering": (["--width", "64", "--size", "40", *SMALL], ["render s", "write s", "of matmul", "MB"], 1),
    "fields": (
        ["--size", "16", "--samples", "8", "--steps", "2", "--width", "16", *SMALL],
        ["seconds", "asked", "of matmul", "x plain", "x box"],
        5,
    ),
    "attention": (["--shape", "encoder, tiny", "--batch", "1", *SMALL], ["forward gain", "both gain"], 2),
    "startup": (["--rounds", "1"], ["seconds"], 4),
}
# A study of minutes at any size: it trains and evaluates whole runs, by calls that have tests of their own.
STUDIES = {"readouts", "systems"}

Load = Callable[[str], ModuleType]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Imports a script as Python does when running it, and forgets it and what scripts share afterwards."""
    monkeypatch.syspath_prepend(str(FOLDER))
    before = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if name in SHARED | TABLES.keys() | {"killing"}:
            del sys.modules[name]


def test_every_benchmark_is_run_here() -> None:
    """A script that no test runs would break unseen."""
    assert {path.stem for path in FOLDER.glob("*.py")} == SHARED | TABLES.keys() | {"killing"} | STUDIES


@pytest.mark.parametrize("name", TABLES)
def test_a_benchmark_prints_its_figures(name: str, load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    """Its JSON has all rows, and finite positive numbers in them; what is compared has agreed before."""
    arguments, columns, count = TABLES[name]
    load(name).main([*arguments, "--json"])
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert len(rows) == count
    assert all(math.isfinite(row[column]) and row[column] > 0 for row in rows for column in columns)


def test_a_table_is_readable(load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --json there is a line of facts, a header, and a line for each row, all equally wide."""
    load("attention").main(["--shape", "encoder, tiny", "--batch", "1", *SMALL])
    _, facts, *table = capsys.readouterr().out.splitlines()
    assert "threads 1" in facts
    assert len(table) == 3
    assert len({len(line) for line in table}) == 1


def test_start_up_loads_no_torch(load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither `import inrkit` nor `inrkit --help` nor a list of plugins pays for torch."""
    load("startup").main(["--rounds", "1", "--json"])
    assert not any(row["torch"] for row in json.loads(capsys.readouterr().out)["rows"])


def test_the_killed_run_is_identical(load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    """kill -9 and the same call again leave what an undisturbed run leaves."""
    with pytest.raises(SystemExit) as ended:
        load("killing").main(["--kills", "1", "--steps", "6", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert ended.value.code == 0
    assert found["kills"] == 1
    assert found["identical"] == found["runs"] > 0
    assert not found["different"]


@pytest.mark.parametrize("path", sorted((FOLDER / "tables").rglob("*.toml")), ids=lambda path: path.stem)
def test_what_tables_compare_can_be_trained(path: Path) -> None:
    """Each config resolves, and says in its first line what is special about it."""
    assert path.read_text().startswith("# ")
    assert resolve(file=path).config.steps >= 100
