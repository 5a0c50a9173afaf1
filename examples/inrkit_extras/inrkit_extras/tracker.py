"""A tracker: a table that any program reads."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from torch import Tensor

import inrkit


@final
class CsvTracker(inrkit.Tracker):
    """One line for each number, in `metrics.csv`: step, name, value."""

    name = "csv"

    def start(self, run: Path, config: Mapping[str, Any], step: int) -> None:
        path = run / "metrics.csv"
        rows = list(csv.reader(path.read_text().splitlines())) if step and path.exists() else []
        self._file = path.open("w", newline="")
        self._table = csv.writer(self._file)
        self._table.writerows(row for row in rows if int(row[0]) <= step)  # later ones are told again

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._table.writerows((step, name, value) for name, value in values.items())
        self._file.flush()

    def picture(self, step: int, name: str, values: Tensor) -> None:
        """A table holds no pictures."""

    def finish(self) -> None:
        self._file.close()
