"""Split files of users: which signals are held out for testing."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from inrkit.errors import DataError

_TEST = ("test", "val", "valid", "validation", "1", "2")
_AMBIGUOUS = -2


def read_split(path: Path, names: Sequence[str], count: int | None = None) -> np.ndarray:
    """Which of the signals are held out, (N,) of bool, by a text file with one of them a line.

    A line is the path of a signal, its name with or without an ending, or its number from 0 on. A second word may say
    train, val or test, or 0, 1 or 2, as in CelebA's list; without one a signal that is named is held out.

    Args:
        names: Of all signals, with ``/`` between folders; empty where they have none.
        count: How many there are, if numbers may name them.
    """
    try:
        lines = [line.replace(",", " ").split() for line in path.read_text().splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: expected a readable text file of held-out signals, found {error}") from error
    known, total = _known(names), count or len(names)
    held_out = np.zeros(total, bool)
    for words in filter(None, lines):
        number = known.get(words[0], int(words[0]) if count is not None and words[0].isdecimal() else -1)
        if number == _AMBIGUOUS:
            raise DataError(f"{path}: expected one signal for each name, found several of the name '{words[0]}'")
        if not 0 <= number < total:
            raise DataError(f"{path}: expected the number or the name of one of {total} signals, found '{words[0]}'")
        held_out[number] = len(words) == 1 or words[1].lower() in _TEST
    return held_out


def _known(names: Sequence[str]) -> dict[str, int]:
    """The number of each path, of each name and of each name without its ending, unless several have it."""
    paths = [PurePosixPath(name) for name in names]
    known = {name: number for number, name in enumerate(names)}
    for shorter in ([path.name for path in paths], [path.stem for path in paths]):
        found: dict[str, int] = {}
        for number, name in enumerate(shorter):
            found[name] = _AMBIGUOUS if name in found else number
        known = {**found, **known}
    return known
