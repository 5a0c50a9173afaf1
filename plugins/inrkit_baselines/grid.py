"""Params that are the signal itself: a grid of values, interpolated."""

from collections.abc import Mapping
from typing import Literal, Self, final

import attrs
from torch import Tensor
from torch.nn import functional as F

from inrkit import INRFunction, Params, Shader, UsageError


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

    def glsl(self, params: Params) -> Shader:
        """The cells around a place, each with its weight on every axis."""
        axes, depth, shader = len(self.size), -(-self.channels // 4), Shader(self.channels)
        shader.table("cells", params["values"][0].movedim(0, -1))
        sizes = ", ".join(map(str, self.size)) + ", 1" * (4 - axes)
        taps = {"bilinear": 2, "bicubic": 4, "nearest": 1}[self.mode]
        names = "ijk"[:axes]
        loops = "\n  ".join(f"for (int {name} = 0; {name} < {taps}; {name}++)" for name in names)
        weight = " * ".join(f"w({name}, part[{axis}])" for axis, name in enumerate(names))
        at = "0"
        for axis, (name, n) in enumerate(zip(names, self.size, strict=True)):
            at = f"({at}) * {n} + clamp(first[{axis}] + {name}, 0, {n - 1})"
        shader.add(f"""
{_WEIGHTS[self.mode]}
void field(vec4 x, vec4 v, out vec4 y[OUTPUTS]) {{
  vec4 sizes = vec4({sizes}), place = (x + 1.0) / 2.0 * sizes - 0.5;
  {"" if self.mode == "bicubic" else "place = clamp(place, vec4(0), sizes - 1.0);"}
  vec4 low = {"roundEven(place)" if self.mode == "nearest" else "floor(place)"}, part = place - low;
  ivec4 first = ivec4(low) - {1 if self.mode == "bicubic" else 0};
  for (int o = 0; o < OUTPUTS; o++) y[o] = vec4(0);
  {loops}
    for (int o = 0; o < {depth}; o++) y[o] += {weight} * number(cells + ({at}) * {depth} + o);
}}""")
        return shader

    def forward(self, params: Params, coords: Tensor) -> Tensor:
        values, axes = params["values"].float(), len(self.size)
        places = coords.to(values).expand(values.shape[0], -1, -1).flip(-1)  # torch has the last axis first
        if axes == 1:  # torch has no interpolation along a line: make it a strip of height 1
            values, places = values[:, :, None], F.pad(places, (0, 1))
        places = places.unflatten(1, (*[1] * (values.ndim - 3), -1))
        shown = F.grid_sample(values, places, self.mode, "border", align_corners=False)
        return shown.flatten(2).transpose(1, 2)


_WEIGHTS = {
    "nearest": "float w(int i, float x) { return 1.0; }",
    "bilinear": "float w(int i, float x) { return i == 0 ? 1.0 - x : x; }",
    # Keys' kernel with a = -.75, as torch has it.
    "bicubic": """float w(int i, float x) {
  float d = abs(x + 1.0 - float(i));
  return d < 1.0 ? (1.25 * d - 2.25) * d * d + 1.0 : ((-0.75 * d + 3.75) * d - 6.0) * d + 3.0;
}""",
}
