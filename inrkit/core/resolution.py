"""Sizes of grids, as people write and read them: width first."""

from collections.abc import Sequence

from inrkit.errors import UsageError


def parse_size(text: str, axes: int) -> tuple[int, ...]:
    """The size meant by "640x480" (width x height, as people write it) is (480, 640); one number means a cube."""
    parts = text.lower().split("x")
    numbers = [int(part) for part in parts if part.isdecimal() and int(part) > 0]
    if len(numbers) != len(parts) or len(numbers) not in (1, axes):
        example = "x".join(["64"] * axes)
        raise UsageError(f"a size is {axes} positive numbers such as {example}, or one for all axes (got '{text}')")
    return tuple(numbers * axes) if len(numbers) == 1 else tuple(reversed(numbers))


def shown_size(size: Sequence[int]) -> str:
    """ "640 x 480" of (480, 640): what `parse_size` understands, as people read it."""
    return " x ".join(map(str, reversed(size)))
