"""What a run writes down as it goes.

`metrics.jsonl`, one JSON object a line, holds nothing but what the computation gave, so that a run that was stopped and
resumed leaves the same bytes as one that was not:

    {"step": 20, "seen": 640, "phase": "inrct", "lr": ..., "norm": ..., "loss": ..., "loss/gene": ..., "skipped": 0}
    {"step": 500, "seen": 16000, "heldout/psnr": ...}

Values are means since the line before. `timing.jsonl` holds what depends on the machine and the day.
"""

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, final

import torch

from inrkit.machine.memory import forget_peak, peak_memory
from inrkit.storage.fileerror import disk_errors
from inrkit.training.tracker import Trackers


@final
class RunLog:
    """Sums since the last line of metrics; metrics, timing and trackers of the first process. For others, ``folder`` is
    None and nothing is written."""

    def __init__(self, folder: Path | None, device: torch.device, trackers: Trackers) -> None:
        self._folder, self._device, self.trackers = folder, device, trackers
        self._count = 0
        self._sums: dict[str, float] = {}
        self._started, self._first = time.monotonic(), 0

    def resume(self, state: Mapping[str, Any] | None, step: int) -> None:
        """Goes back to what was written when a checkpoint was; to nothing without one."""
        self._started, self._first = time.monotonic(), step
        forget_peak(self._device)
        if state is not None:
            self._count, self._sums = int(state["count"]), dict(state["sums"])
        if self._folder is not None:
            with _appended(self._folder / "metrics.jsonl") as file:
                file.truncate(0 if state is None else min(int(state["length"]), file.tell()))

    def state(self) -> dict[str, Any]:
        """For the checkpoint; the metrics up to here are on the disk."""
        length = 0
        if self._folder is not None:
            with _appended(self._folder / "metrics.jsonl") as file:
                os.fsync(file.fileno())
                length = file.tell()
        return {"count": self._count, "sums": dict(self._sums), "length": length}

    def add(self, values: Mapping[str, float]) -> None:
        """What one step gave."""
        self._count += 1
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value

    def means(self) -> dict[str, float]:
        """Of all that was added since the last call."""
        means = {name: value / max(1, self._count) for name, value in self._sums.items()}
        self._count, self._sums = 0, {}
        return means

    def write(self, step: int, seen: int, values: Mapping[str, Any]) -> None:
        """One line of metrics."""
        if self._folder is None:
            return
        seconds = time.monotonic() - self._started
        rate = (step - self._first) / max(seconds, 1e-9)
        timing = {"step": step, "seconds": round(seconds, 3), "steps_per_second": round(rate, 4)}
        lines = {"metrics": {"step": step, "seen": seen, **values}}
        lines["timing"] = {**timing, "memory": peak_memory(self._device)}
        for name, line in lines.items():
            with _appended(self._folder / f"{name}.jsonl") as file:
                file.write(json.dumps(line).encode() + b"\n")
        self.trackers.log(step, values)


@contextlib.contextmanager
def _appended(path: Path) -> Iterator[BinaryIO]:
    """A file of JSON lines, at its end."""
    with disk_errors(path), open(path, "ab") as file:
        yield file
