"""JSON that comes back as it went in: only what JSON can hold is accepted, and text is refused unless it is one value.

Tuples come back as lists; nothing else changes.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

from inrkit.errors import DataError

_DEPTH = 100


def encode(value: Any, *, what: str, finite: bool = True, sort: bool = True) -> bytes:
    """Compact ASCII JSON; with sorted keys, equal values give equal bytes. ``what`` names the value in errors.

    ``finite=False`` also accepts infinities and NaN, in Python's spelling.
    """
    plain = _plain(value, what, finite, _DEPTH)
    return json.dumps(plain, sort_keys=sort, separators=(",", ":"), allow_nan=not finite).encode("ascii")


def decode(data: bytes, *, origin: str) -> Any:
    """The value of one JSON text; `DataError` for anything else, repeated keys included."""
    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=_unique_keys)
    except (ValueError, RecursionError) as error:  # JSONDecodeError and UnicodeDecodeError are ValueErrors
        raise DataError(f"{origin}: expected JSON, found damage ({str(error)[:80]})") from error


def _plain(value: Any, what: str, finite: bool, depth: int) -> Any:
    if depth == 0:
        raise DataError(f"{what}: expected values nested at most {_DEPTH} deep, found deeper ones")
    if isinstance(value, Mapping):
        if wrong := [key for key in value if type(key) is not str]:
            raise DataError(f"{what}: expected text as keys, found {wrong[0]!r}; JSON would turn it into text")
        return {key: _plain(item, f"{what}.{key}", finite, depth - 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{what}[{index}]", finite, depth - 1) for index, item in enumerate(value)]
    if type(value) is float and finite and not math.isfinite(value):
        raise DataError(f"{what}: expected a finite number, found {value}")
    if value is None or type(value) in (bool, int, float, str):
        return value
    raise DataError(
        f"{what}: expected text, numbers, booleans, lists and mappings of them, found {type(value).__name__}"
    )


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        raise ValueError("a key is repeated")
    return mapping
