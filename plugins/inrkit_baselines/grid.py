"""Params that are the signal itself: a grid of values, interpolated."""

from collections.abc import Mapping
from typing import Literal, Self, final

import attrs
from torch import Tensor
from torch.nn import functional as F

from inrkit import INRFunction, Params, UsageError


@attrs.frozen
class GridOptions:
    """Options of the function ``grid``."""

    interpolation: Literal["linear", "cubic", "nearest"] = attrs.field(
        default="linear", metadata={"help": "between the values; cubic for one or two axes"}
    )


@final
class GridFunction(INRFunction):
    """The values of the cells of a grid over [-1, 1], interpolated; beyond the outermost centers they stay constant.

    Law: at the center of a cell it is the cell's value. It makes any network that writes a grid of values one that
    writes the params of a function, so that both are trained, sampled, edited and evaluated alike. At a size that is
    not its own it shows no more than interpolation does.
    """

    Options = GridOptions
    head = "grid"

    def __init__(self, size: tuple[int, ...], channels: int, interpolation: str = "linear") -> None:
        super().__init__()
        if not 1 <= len(size) <= 3 or (interpolation == "cubic" and len(size) == 3):
            raise UsageError(f"'grid' interpolates over 1 to 3 axes, cubic over 1 or 2 (got {len(size)} axes)")
        self.size, self.channels = size, channels
        self.mode = {"linear": "bilinear", "cubic": "bicubic", "nearest": "nearest"}[interpolation]

    @classmethod
    def build(cls, options: GridOptions, *, axes: int, channels: int, size: tuple[int, ...]) -> Self:
        if len(size) != axes:
            raise UsageError(
                f"'grid' is for signals on a grid of {axes} axes (got size {size}); choose another function"
            )
        return cls(size, channels, options.interpolation)

    @property
    def param_shapes(self) -> Mapping[str, tuple[int, ...]]:
        return {"values": (self.channels, *self.size)}

    def forward(self, params: Params, coords: Tensor) -> Tensor:
        values, axes = params["values"].float(), len(self.size)
        places = coords.to(values).expand(len(values), -1, -1).flip(-1)  # torch has the last axis first
        if axes == 1:  # torch has no interpolation along a line: make it a strip of height 1
            values, places = values[:, :, None], F.pad(places, (0, 1))
        places = places.unflatten(1, (*[1] * (values.ndim - 3), -1))
        shown = F.grid_sample(values, places, self.mode, "border", align_corners=False)
        return shown.flatten(2).transpose(1, 2)
