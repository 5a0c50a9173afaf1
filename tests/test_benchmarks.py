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
SHARED = {"measure", "model", "reference", "accelerator"}
SMALL = ["--threads", "1", "--rounds", "1", "--matmul", "32"]

NARROW = ["--set", "options.width=16", "options.heads=2", "options.hidden=16"]
GROWING = ["--batch", "2", "4", "--resolution", "8", "16", "--width", "16", "32", "--points", "8", "16"]

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
    "windows": (["--batch", "2", *SMALL], ["windows ms", "x plain", "x anr", "of matmul"], 4),
    "attention": (["--shape", "encoder, tiny", "--batch", "1", *SMALL], ["forward gain", "both gain"], 2),
    "processes": (
        ["--width", "64", "--batch", "4", "--processes", "2", "--optimizer", "adamw", *SMALL],
        ["ms/step", "held MB", "peak MB", "x one"],
        4,
    ),
    "startup": (["--rounds", "1"], ["seconds"], 4),
    "modalities": (
        ["--modality", "image", "audio", "--precision", "fp32", "--batch", "2", *SMALL, *NARROW],
        ["seconds", "GFLOP", "of matmul", "FLOP/byte"],
        8,
    ),
    "growth": (
        ["--rows", "2", "--middle", "32", *GROWING, *SMALL],
        ["seconds", "GFLOP", "x seconds"],
        8,
    ),
    "loading": (
        ["--size", "8", "--megabytes", "1", "--batch", "8", "--workers", "0", *SMALL],
        ["of read()", "GB/s"],
        8,
    ),
}
# A study of minutes at any size: it trains and evaluates whole runs, by calls that have tests of their own.
STUDIES = {"readouts", "systems", "classifier"}
# The code of others, which is not here, and what runs all the others.
ELSEWHERE = {"peers", "all"}
# Those with tests of their own, in test_gpu.py.
OTHERS = {"gpu_tests"} | STUDIES | ELSEWHERE
# For a GPU: columns that hold positive numbers, in rows that have them.
GPU = {
    "gpu_facts": ["fp32 TFLOP/s", "copy GB/s", "encoder both TFLOP/s", "ms/face"],
    "gpu_training": ["images/s", "of matmul", "TFLOP/step"],
    "gpu_compiled": ["images/s"],
    "gpu_sampling": ["samples/s", "s for 50,000", "of matmul"],
    "gpu_views": ["s", "asked", "of matmul"],
    "gpu_profile": ["whole ms", "optimizer ms", "ms/step, profiled"],
    "gpu_kernels": ["seconds"],
    "gpu_run": ["steps"],
}

Load = Callable[[str], ModuleType]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Imports a script as Python does when running it, and forgets it and what scripts share afterwards."""
    monkeypatch.syspath_prepend(str(FOLDER))
    before = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if name in SHARED | TABLES.keys() | GPU.keys():
            del sys.modules[name]


def test_every_benchmark_is_run_here() -> None:
    """A script that no test runs would break unseen."""
    assert {path.stem for path in FOLDER.glob("*.py")} == SHARED | TABLES.keys() | GPU.keys() | OTHERS


@pytest.mark.parametrize("name", TABLES)
def test_a_benchmark_prints_its_figures(name: str, load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    """Its JSON has all rows, and finite positive numbers in them; what is compared has agreed before."""
    arguments, columns, count = TABLES[name]
    load(name).main([*arguments, "--json"])
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert len(rows) == count
    assert all(math.isfinite(row[column]) and row[column] > 0 for row in rows for column in columns)


@pytest.mark.parametrize("name", GPU)
def test_a_benchmark_of_a_gpu_runs_on_a_processor(
    name: str, load: Load, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """At a tiny size, where nothing fails in silence: a failed row says so. Each row is a line of its own."""
    load(name).main(["--device", "cpu", "--smoke", "--json", "--pictures", str(tmp_path)])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert not [row for row in rows if "error" in row]
    for column in GPU[name]:
        found = [row[column] for row in rows if column in row]
        assert found
        assert all(math.isfinite(value) and value > 0 for value in found)


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


@pytest.mark.parametrize("path", sorted((FOLDER / "tables").rglob("*.toml")), ids=lambda path: path.stem)
def test_what_tables_compare_can_be_trained(path: Path) -> None:
    """Each config resolves, and says in its first line what is special about it."""
    assert path.read_text().startswith("# ")
    assert resolve(file=path).config.steps >= 100
