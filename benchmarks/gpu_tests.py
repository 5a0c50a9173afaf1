"""The tests marked gpu, a row for each as soon as it has ended.

    python benchmarks/gpu_tests.py [--device auto] [--json]

Without a GPU they skip themselves, unless the variable INRKIT_TEST_DEVICE is cpu.
"""

import argparse
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerator import Rows, run

ROOT = Path(__file__).parents[1]
LONGEST = 90
"""Seconds of one test."""


def main(arguments: list[str] | None = None) -> None:
    run(__doc__, measure, arguments)


class Recorder:
    """Writes a row when a test has ended, or when its file cannot be read."""

    def __init__(self, rows: Rows) -> None:
        self.rows, self.outcomes = rows, list[str]()

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when != "call" and report.passed:
            return
        row: dict[str, Any] = {"test": report.nodeid, "outcome": report.outcome, "seconds": report.duration}
        if report.failed:
            row["error"] = report.longreprtext[-2500:]
        elif report.skipped:
            row["reason"] = str(report.longrepr[-1] if isinstance(report.longrepr, tuple) else report.longrepr)[-300:]
        self.outcomes.append(report.outcome)
        self.rows.add(**row)

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self.outcomes.append("failed")
            self.rows.add(test=report.nodeid, outcome="unreadable", error=str(report.longrepr)[-2500:])


def measure(chosen: argparse.Namespace, device: torch.device, rows: Rows) -> None:
    files = [str(path) for path in sorted((ROOT / "tests").rglob("test_*.py")) if "mark.gpu" in path.read_text()]
    recorder = Recorder(rows)
    # What another version of a package warns of is no failure here.
    options = ["-m", "gpu", "-W", "default", "-p", "no:cacheprovider", f"--timeout={LONGEST}", "--tb=short"]
    pytest.main([*options, "--rootdir", str(ROOT), "--continue-on-collection-errors", *files], plugins=[recorder])
    counts = {outcome: recorder.outcomes.count(outcome) for outcome in sorted(set(recorder.outcomes))}
    rows.add(what="tests", **counts)


if __name__ == "__main__":
    main()
