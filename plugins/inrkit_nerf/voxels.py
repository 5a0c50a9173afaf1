"""Voxels (as in DVGO, arXiv:2111.11215): values of the cells of a grid, interpolated, one token for a block of them."""

import math
from collections.abc import Mapping
from typing import Self, final

import attrs
import torch
from torch import Tensor
from torch.nn import functional as F

from inrkit import Field, INRFunction, Params, Shader, UsageError, at_least, grid_centers, option, patchify

AXES = 3


def _extent(instance: object, attribute: object, value: tuple[float, ...]) -> None:
    if len(value) != AXES or not all(0 < x <= 1 for x in value) or max(value) != 1:
        raise UsageError(f"'extent' must be three numbers above 0, the largest of which is 1 (got {value})")


@attrs.frozen
class VoxelOptions:
    """Options of the function ``voxels``."""

    side: int = option(32, "voxels along the longest side of the box", at_least(2))
    patch: int = option(8, "side of the block of voxels that one token holds", at_least(1))
    extent: tuple[float, ...] = option(
        (1.0,) * AXES,
        "how far the box reaches along each axis, over how far along its longest; 'nerf' sets it",
        _extent,
    )


@final
class Voxels(INRFunction):
    """The values of cubic voxels, trilinear between their centres; beyond the outermost they stay constant.

    It has no weights of its own. The voxels fill a box around the origin, which reaches to 1 along its longest axes.
    """

    Options = VoxelOptions
    head = "tokens"
    scale: Tensor

    def __init__(self, channels: int, options: VoxelOptions) -> None:
        super().__init__()
        longest = math.ceil(options.side / options.patch)
        self.channels, self.patch = channels, options.patch
        self.grid = tuple(math.ceil(share * longest - 1e-6) for share in options.extent)
        self.reach = tuple(n / longest for n in self.grid)
        self.register_buffer("scale", torch.tensor(self.reach), persistent=False)

    @classmethod
    def build(cls, options: VoxelOptions, *, axes: int, channels: int, size: tuple[int, ...]) -> Self:
        if axes != AXES:
            raise UsageError(f"'voxels' is for three axes (got {axes}); use the function 'grid'")
        return cls(channels, options)

    @property
    def param_shapes(self) -> Mapping[str, tuple[int, ...]]:
        return {"voxels": (math.prod(self.grid), self.channels * self.patch**AXES)}

    def token_positions(self) -> Tensor:
        """Nothing: a block knows where it is, and an object starts from fog of one density."""
        return torch.zeros(self.param_shapes["voxels"])

    def token_points(self, side: int) -> Tensor:
        counts = tuple(n * side for n in self.grid)
        points = grid_centers(counts) * torch.tensor(self.reach)
        blocks = patchify(points.mT.reshape(1, AXES, *counts), (side,) * AXES)[0]
        return torch.unflatten(blocks, 1, (AXES, -1)).mT

    def voxels(self, params: Params) -> Tensor:
        """The blocks put together, (B, channels, x, y, z)."""
        p, tokens = self.patch, params["voxels"].float()
        blocks = tokens.reshape(-1, *self.grid, self.channels, p, p, p).permute(0, 4, 1, 5, 2, 6, 3, 7)
        return blocks.reshape(tokens.shape[0], self.channels, *(n * p for n in self.grid))

    def bind(self, params: Params) -> Field:
        super().bind(params)  # checks their shapes
        voxels = self.voxels(params)  # put together once for all places that are asked for
        return lambda coords: self._at(voxels, coords)

    def forward(self, params: Params, coords: Tensor) -> Tensor:
        return self._at(self.voxels(params), coords)

    def _at(self, voxels: Tensor, coords: Tensor) -> Tensor:
        """Outputs (B, P, channels) of voxels at coords (B or 1, P, 3)."""
        places = (coords.to(voxels) / self.scale).expand(voxels.shape[0], -1, -1).flip(-1)  # torch: last axis first
        found = F.grid_sample(voxels, places[:, None, None], "bilinear", "border", align_corners=False)
        return found.flatten(2).transpose(1, 2)

    def glsl(self, params: Params) -> Shader:
        """The eight voxels around a place, each with its weight on every axis."""
        shader = Shader(self.channels)
        shader.table("voxels", self.voxels(params)[0].movedim(0, -1))
        sides = [n * self.patch for n in self.grid]
        size, reach = (", ".join(map(str, [*row, 1])) for row in (sides, self.reach))
        shader.add(f"""
void field(vec4 x, vec4 v, out vec4 y[OUTPUTS]) {{
  vec4 size = vec4({size}), place = clamp((x / vec4({reach}) + 1.0) / 2.0 * size - 0.5, vec4(0), size - 1.0);
  ivec3 low = ivec3(place.xyz), last = ivec3(size.xyz) - 1;
  vec3 part = place.xyz - vec3(low);
  for (int o = 0; o < OUTPUTS; o++) y[o] = vec4(0);
  for (int n = 0; n < 8; n++) {{
    ivec3 corner = ivec3(n / 4, n / 2 % 2, n % 2), at = min(low + corner, last);
    vec3 w = mix(1.0 - part, part, vec3(corner));
    for (int o = 0; o < OUTPUTS; o++)
      y[o] += w.x * w.y * w.z * number(voxels + ((at.x * {sides[1]} + at.y) * {sides[2]} + at.z) * OUTPUTS + o);
  }}
}}""")
        return shader
