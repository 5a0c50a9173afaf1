"""Sizes of grids, as people write and read them: width first."""

import operator
from collections.abc import Mapping, Sequence
from typing import Any

from inrkit.errors import UsageError


def parse_size(text: str, axes: int) -> tuple[int, ...]:
    """The size meant by "640x480" (width x height, as people write it) is (480, 640); one number means a cube."""
    parts = text.lower().split("x")
    numbers = [int(part) for part in parts if part.isdecimal() and int(part) > 0]
    if len(numbers) != len(parts) or len(numbers) not in (1, axes):
        example = "x".join(["64"] * axes)
        many = f"{axes} positive numbers such as {example}, or one for all axes"
        raise UsageError(f"a size is {many if axes > 1 else 'one positive number such as 64'} (got '{text}')")
    return tuple(numbers * axes) if len(numbers) == 1 else tuple(reversed(numbers))


def shown_size(size: Sequence[int]) -> str:
    """ "640 x 480" of (480, 640): what `parse_size` understands, as people read it."""
    return " x ".join(map(str, reversed(size)))


def shown_sizes(facts: Mapping[str, Any], options: Any) -> str:
    """ "128 x 128, trained at 64 x 64": how large signals are in their data, and what a model makes of them; or ""."""
    old, new = facts.get("size"), getattr(options, "size", None)
    if not isinstance(old, list | tuple) or not old:
        return ""
    if not isinstance(new, list | tuple) or [*new] == [*old]:
        return shown_size(old)
    how = "enlarged to" if len(old) == len(new) and any(map(operator.gt, new, old)) else "trained at"
    return f"{shown_size(old)}, {how} {shown_size(new)}"
