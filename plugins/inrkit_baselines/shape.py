"""What a network that writes one grid of values must know."""

from collections.abc import Mapping
from typing import final

import attrs

from inrkit import Observation, UsageError


@final
@attrs.frozen
class GridShape:
    """Channels read and written, and the grid that both lie on."""

    name: str
    """Of the only param."""
    channels: int
    outputs: int
    size: tuple[int, ...]

    @staticmethod
    def of(denoiser: str, template: Observation, shapes: Mapping[str, tuple[int, ...]], *, divisor: int) -> "GridShape":
        """The shape for observations like the template and these params; an error where they do not go together.

        Args:
            denoiser: Name of the network, for messages.
            divisor: What every side of the grid must be a multiple of.
        """
        channels, *size = template.values.shape[1:]
        (name, shape), *others = shapes.items()
        if others or list(shape[1:]) != size or not 1 <= len(size) <= 3:
            asked = ", ".join(f"{key} {tuple(value)}" for key, value in shapes.items())
            raise UsageError(
                f"'{denoiser}' writes one grid of values of size {tuple(size)}, like what it reads; the function asks "
                f"for {asked[:80]}: choose the function 'grid', and a 'query_size' like 'size' if there is one"
            )
        if any(n % divisor for n in size):
            raise UsageError(f"'{denoiser}' needs sides that are multiples of {divisor} (got {tuple(size)})")
        return GridShape(name, channels, shape[0], tuple(size))
