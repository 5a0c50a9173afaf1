"""Cameras as a table: ``cameras.csv``, a picture a line, made what ``cameras.json`` says."""

import csv
import io
from collections.abc import Mapping
from typing import Any

from inrkit import DataError
from inrkit_nerf.formats.importing import numbers_of
from inrkit_nerf.formats.lens import COEFFICIENTS

_POSE = [[f"m{row}{column}" for column in range(4)] for row in range(3)]
_INTRINSICS = ["fx", "fy", "cx", "cy"]
_NEEDED = ["file", *_INTRINSICS, *(name for row in _POSE for name in row)]
_WORDS = ["object", "class", "split", "convention", "model"]
_KNOWN = {*_NEEDED, *_WORDS, "width", "height", *COEFFICIENTS}


def table_of(text: str, name: str) -> dict[str, Any]:
    """The pictures of a table in the words of ``cameras.json``; the file called ``name`` in errors."""
    rows = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), skipinitialspace=True)
    columns = list(rows.fieldnames or ())
    for column in _NEEDED:
        if column not in columns:
            raise DataError(f"{name}: expected the columns {', '.join(_NEEDED)}, found no '{column}'")
    for column in columns:
        if column not in _KNOWN:
            raise DataError(f"{name}: expected no columns but {', '.join(sorted(_KNOWN))}, found {column}")
    return {"images": [_entry(row, f"{name}: line {number}") for number, row in enumerate(rows, 2)]}


def _entry(row: Mapping[str, Any], what: str) -> dict[str, Any]:
    given = {key: value for key, value in row.items() if isinstance(value, str) and value}
    missing = next((key for key in _NEEDED if key not in given), None)
    if missing is not None or None in row:
        raise DataError(
            f"{what}: expected a value for each column, found {'too many' if None in row else 'no'} "
            f"{'' if missing is None else missing}".rstrip()
        )

    def numbers(names: list[str]) -> list[float]:
        return [numbers_of(given[name], what)[0] for name in names]

    entry: dict[str, Any] = {
        key: given[key] for key in ("file", "object", "class", "split", "convention") if key in given
    }
    entry |= {"intrinsics": numbers(_INTRINSICS), "pose": [numbers(names) for names in _POSE]}
    if "width" in given and "height" in given:
        entry["size"] = numbers(["width", "height"])
    lens = [key for key in COEFFICIENTS if key in given]
    distortion = dict(zip(lens, numbers(lens), strict=True)) | ({"model": given["model"]} if "model" in given else {})
    return {**entry, **({"distortion": distortion} if distortion else {})}
