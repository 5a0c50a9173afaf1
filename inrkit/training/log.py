"""What a run writes down as it goes.

`metrics.jsonl`, one JSON object a line, holds nothing but what the computation gave, so that a run that was stopped and
resumed leaves the same bytes as one that was not:

    {"step": 20, "seen": 640, "phase": "inrct", "lr": ..., "norm": ..., "loss": ..., "loss/gene": ..., "skipped": 0}
    {"step": 500, "seen": 16000, "heldout/psnr": ...}

Values are means since the line before. `timing.jsonl` holds what depends on the machine and the day.
"""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import torch

from inrkit.machine.memory import forget_peak, peak_memory
from inrkit.storage.atomic import disk_errors
from inrkit.training.tracker import Trackers


@final
class LineFile:
    """A file of JSON lines that is appended to, and can be cut back to an earlier length."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with disk_errors(path):
            self._file = open(path, "ab")  # noqa: SIM115  closed by `close`

    def append(self, line: Mapping[str, Any]) -> None:
        """Adds one line; what is in the file is whole lines."""
        with disk_errors(self.path):
            self._file.write(json.dumps(line).encode() + b"\n")
            self._file.flush()

    def length(self) -> int:
        """Bytes so far, all of them on the disk."""
        with disk_errors(self.path):
            os.fsync(self._file.fileno())
            return os.fstat(self._file.fileno()).st_size

    def cut(self, length: int) -> None:
        """Forgets what was written after the first ``length`` bytes."""
        with disk_errors(self.path):
            self._file.truncate(min(length, os.fstat(self._file.fileno()).st_size))

    def close(self) -> None:
        self._file.close()


@final
class Window:
    """Sums since the last line of metrics."""

    def __init__(self) -> None:
        self.count = 0
        self.sums: dict[str, float] = {}

    def add(self, values: Mapping[str, float]) -> None:
        self.count += 1
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def means(self) -> dict[str, float]:
        """The means, after which the window is empty."""
        means = {name: value / max(1, self.count) for name, value in self.sums.items()}
        self.count, self.sums = 0, {}
        return means


@final
class RunLog:
    """Metrics and timing of the first process, and its trackers; for others, ``folder`` is None and nothing is
    written."""

    def __init__(self, folder: Path | None, device: torch.device, trackers: Trackers) -> None:
        self._device = device
        self.window, self.trackers = Window(), trackers
        self._metrics = None if folder is None else LineFile(folder / "metrics.jsonl")
        self._timing = None if folder is None else LineFile(folder / "timing.jsonl")
        self._started, self._first = time.monotonic(), 0

    def resume(self, state: Mapping[str, Any] | None, step: int) -> None:
        """Goes back to what was written when a checkpoint was; to nothing without one."""
        self._started, self._first = time.monotonic(), step
        forget_peak(self._device)
        if state is not None:
            self.window.count, self.window.sums = int(state["count"]), dict(state["sums"])
        if self._metrics is not None:
            self._metrics.cut(0 if state is None else int(state["length"]))

    def state(self) -> dict[str, Any]:
        """For the checkpoint."""
        length = 0 if self._metrics is None else self._metrics.length()
        return {"count": self.window.count, "sums": dict(self.window.sums), "length": length}

    def write(self, step: int, seen: int, values: Mapping[str, Any]) -> None:
        """One line of metrics."""
        if self._metrics is None or self._timing is None:
            return
        self._metrics.append({"step": step, "seen": seen, **values})
        seconds = time.monotonic() - self._started
        rate = (step - self._first) / max(seconds, 1e-9)
        timing = {"step": step, "seconds": round(seconds, 3), "steps_per_second": round(rate, 4)}
        self._timing.append({**timing, "memory": peak_memory(self._device)})
        self.trackers.log(step, values)

    def close(self) -> None:
        self.trackers.finish()
        for file in (self._metrics, self._timing):
            if file is not None:
                file.close()
