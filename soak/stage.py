"""A stage: one way of doing harm, in numbered cases, each of which can be repeated."""

import abc
import hashlib
import random
from pathlib import Path
from typing import ClassVar, final

from soak.child import Ended
from soak.prepared import Prepared

MOST_SECONDS = 5.0
"""Of the processor, that a wrong input may cost."""
MOST_MEMORY = 1 << 30
"""Bytes beyond those of a process that has imported everything."""


@final
class BrokenPromise(Exception):  # noqa: N818  # it is no error of this program
    """What was promised did not hold."""


class Stage(abc.ABC):
    """One way of doing harm.

    Args:
        given: Runs, files and data to do it to.
        scale: The share of all that is done, for a stage whose cases grow with it.
    """

    name: ClassVar[str]
    summary: ClassVar[str]

    def __init__(self, given: Prepared, scale: float = 1.0, seed: int = 0) -> None:
        self.given, self.scale, self.seed = given, scale, seed

    @property
    @abc.abstractmethod
    def count(self) -> int:
        """The number of cases in all."""

    @abc.abstractmethod
    def case(self, number: int, folder: Path) -> str:
        """Do it in an empty folder; what came of it, in a word or two, or `BrokenPromise`."""

    def chance(self, number: int) -> random.Random:
        """What is random in a case."""
        return random.Random(f"{self.name} {self.seed} {number}")


def require(holds: bool, what: str, ended: Ended | None = None) -> None:
    """`BrokenPromise`, with how the process ended."""
    if not holds:
        how = "" if ended is None else f": exit code {ended.code}, {ended.seconds:.1f} s; {_tail(ended.err)}"
        raise BrokenPromise(what + how)


def is_plain(ended: Ended, *codes: int) -> None:
    """The process ended with one of these codes, and a failure in one line that blames nobody."""
    require(not ended.hung, "it hung", ended)
    require("Traceback" not in ended.err + ended.out and "this is a bug" not in ended.err, "a bug of inrkit", ended)
    require(ended.code in codes, f"expected an exit code of {', '.join(map(str, codes))}", ended)
    if 0 < ended.code < 128:
        errors = [line for line in ended.err.splitlines() if line.startswith("inrkit: error: ")]
        require(len(errors) == 1, "expected one line that says what is wrong", ended)


def is_small(ended: Ended, given: Prepared) -> None:
    """A wrong input costs little, and so does every other that is small."""
    require(ended.seconds < MOST_SECONDS, f"more than {MOST_SECONDS:.0f} s", ended)
    more = ended.peak - given.base
    require(more < MOST_MEMORY, f"{more / 2**20:.0f} MiB of memory", ended)


def timeless(files: dict[str, str]) -> dict[str, str]:
    """Without the hash of reports, which hold times and tell of interruptions."""
    return {path: "" if path.endswith("report.html") else value for path, value in files.items()}


def contents(folder: Path) -> dict[str, str]:
    """sha256 of every file below a folder."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def is_same(folder: Path, expected: dict[str, str]) -> None:
    """The folder holds what it should, with the same bytes where they are known; nothing unfinished lies around."""
    found = contents(folder)
    left = [name for name in found if "/.tmp-" in f"/{name}"]
    require(not left, f"unfinished files stayed: {', '.join(left[:3])}")
    missing = sorted(expected.keys() - found.keys())
    require(not missing, f"missing: {', '.join(missing[:3])}")
    other = [name for name, value in expected.items() if value and found[name] != value]
    require(not other, f"other bytes: {', '.join(other[:3])}")


def _tail(text: str) -> str:
    return " | ".join(text.strip().splitlines()[-3:])[-400:]
