"""What a user may wish of a sheet: which signals and rows, how many beside each other, how large, and in which file."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar, final

import attrs

from inrkit.errors import UsageError, did_you_mean

SUFFIXES = (".png", ".pdf", ".svg")
_Row = TypeVar("_Row")


@final
@attrs.frozen
class Layout:
    """How a sheet is laid out.

    Args:
        columns: Pictures beside each other; what is more goes below.
        scale: Dots of every value along each axis.
        rows: Names of the rows that are shown, in this order.
        pick: Numbers of the signals that are shown, from 0, in this order.
        path: A further file for the sheet, whose ending says in which format.
    """

    columns: int | None = None
    scale: int | None = None
    rows: Sequence[str] | None = None
    pick: Sequence[int] | None = None
    path: Path | None = None

    def count(self, usual: int) -> int:
        """How many signals must be there, of which usually so many are shown."""
        return usual if self.pick is None else max(self.pick) + 1

    def chosen_rows(self, rows: dict[str, _Row]) -> dict[str, _Row]:
        """Those that are shown, of these."""
        if self.rows is None:
            return rows
        for name in self.rows:
            if name not in rows:
                known = ", ".join(rows)
                raise UsageError(f"'rows': no row named '{name}'; there are {known}.{did_you_mean(name, rows)}")
        return {name: rows[name] for name in self.rows}

    def picked(self, count: int) -> Sequence[int]:
        """The numbers of the signals that are shown, of so many."""
        if self.pick is None:
            return range(count)
        if max(self.pick) >= count:
            raise UsageError(f"'pick': expected numbers from 0 to {count - 1}, found {max(self.pick)}")
        return self.pick

    def further(self, about: str) -> "Layout":
        """The same for one of several sheets, each in a file of its own: figure-1-step.pdf."""
        path = self.path and self.path.with_stem(f"{self.path.stem}-{about}")
        return attrs.evolve(self, path=path)


USUAL = Layout()
"""How sheets are where nobody wishes anything."""
