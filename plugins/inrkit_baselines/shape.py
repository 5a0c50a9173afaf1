"""What networks that write one grid of values have in common."""

import abc
from collections.abc import Mapping
from typing import Any, Self, final

import attrs
from torch import nn

from inrkit import Condition, Denoiser, Measure, Observation, UsageError

CONVOLUTIONS: Mapping[int, type[nn.Conv1d | nn.Conv2d | nn.Conv3d]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
"""By the number of axes."""


@final
@attrs.frozen
class GridShape:
    """Channels read and written, and the grid that both lie on."""

    name: str
    """Of the only param."""
    channels: int
    outputs: int
    size: tuple[int, ...]


class GridDenoiser(Denoiser, abc.ABC):
    """Reads a grid of values and writes one."""

    condition: Condition

    def __init__(self, options: Any, shape: GridShape, classes: int = 0) -> None:
        super().__init__()
        self.name = shape.name

    @staticmethod
    @abc.abstractmethod
    def divisor(options: Any) -> int:
        """What every side of the grid must be a multiple of."""

    @final
    @classmethod
    def build(
        cls,
        options: Any,
        *,
        template: Observation,
        shapes: Mapping[str, tuple[int, ...]],
        classes: int,
        measure: Measure | None,
    ) -> Self:
        denoiser, divisor = cls.__name__.lower(), cls.divisor(options)
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
        return cls(options, GridShape(name, channels, shape[0], tuple(size)), classes)

    @final
    def take_until(self) -> None:
        self.condition.take_until()
        self.two_times = True

    @final
    def take_guidance(self, low: float, high: float) -> None:
        self.condition.take_guidance()
        self.guidance_range = low, high

    @final
    def take_augmentation(self, labels: int) -> None:
        self.condition.take_augmentation(labels)
