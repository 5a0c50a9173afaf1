"""A run writes down what its network learns from."""

import json
from pathlib import Path
from typing import Any

from toy_run import fingerprint, train_toy


def lines(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_measuring_the_gradient_changes_no_number(tmp_path: Path) -> None:
    """The run with it leaves the weights, averages, random states and metrics of the run without, and lines of its own
    every so many steps."""
    prints = {}
    for every in (0, 5):
        train_toy(tmp_path / str(every), gradient_every=every, accumulate=2)
        prints[every] = fingerprint(tmp_path / str(every))
    assert {name for name in prints[0] if prints[0][name] != prints[5][name]} == {"metrics", "state"}  # its length
    measured = [line for line in lines(tmp_path / "5") if any(name.startswith("gradient/") for name in line)]
    assert lines(tmp_path / "0") == [line for line in lines(tmp_path / "5") if line not in measured]
    assert [line["step"] for line in measured] == [5, 10, 15, 20]
    assert all(line["gradient/recon/clean"] > 0 for line in measured)
