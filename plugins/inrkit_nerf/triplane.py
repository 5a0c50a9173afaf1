"""Tri-planes (EG3D, arXiv:2112.07945): features of three planes, decoded by a small MLP that all signals share."""

import itertools
import math
from collections.abc import Mapping
from typing import Any, Self, final

import attrs
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inrkit import INRFunction, Params, Shader, UsageError, between, option


@final
@attrs.frozen
class TriPlaneOptions:
    """Options of the function ``triplane``."""

    grid: int = option(8, "tokens along each side of a feature plane")
    patch: int = option(4, "side of the patch of a feature plane that one token holds")
    features: int = option(12, "channels of the feature planes")
    width: int = option(64, "hidden dimension of the MLP that decodes the features")
    depth: int = option(3, "layers of the MLP that decodes the features", between(1, 1000))
    mip: bool = option(False, "anti-aliasing: coordinates come with their variances")


@final
class TriPlane(INRFunction):
    """Σ over the pairs of axes of plane(x_i, x_j), bilinear, then an MLP that all instances share (EG3D).

    Three planes for three axes, one for two; on [-1, 1], beyond which the planes go on as at their edges. Only the
    planes belong to the instance. Their params are tokens (planes * grid², patch² * features), one for each patch of a
    plane, as `inrkit.TokenHead` makes them.

    Coordinates may be points (B, P, axes), or regions (B, P, 2 * axes) of which each axis' mean is followed by all
    variances: a region is looked up on coarser copies of the planes, each half the size of the one before, so that
    what is finer than the region is averaged out (as in Tri-MipRF).

    Args:
        axes, channels: Of coordinates and outputs.
        options: See `TriPlaneOptions`.
    """

    Options = TriPlaneOptions
    head = "tokens"

    def __init__(self, axes: int, channels: int, **options: Any) -> None:
        super().__init__()
        if axes < 2:
            raise UsageError(f"a plane needs two axes (got {axes}); use the function 'mlp'")
        o = TriPlaneOptions(**options)  # `forward` tells regions from points by their columns, a shader by ``mip``
        self.axes, self.grid, self.patch, self.features, self.mip = axes, o.grid, o.patch, o.features, o.mip
        self.pairs = list(itertools.combinations(range(axes), 2))
        widths = [o.features, *[o.width] * (o.depth - 1), channels]
        layers = [nn.Linear(*pair) for pair in itertools.pairwise(widths)]
        for layer in layers:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        nn.init.xavier_uniform_(layers[-1].weight)
        hidden = ((layer, nn.ReLU()) for layer in layers[:-1])
        self.decoder = nn.Sequential(*itertools.chain(*hidden), layers[-1])

    @classmethod
    def build(cls, options: TriPlaneOptions, *, axes: int, channels: int, size: tuple[int, ...]) -> Self:
        return cls(axes, channels, **attrs.asdict(options))

    @property
    def side(self) -> int:
        """Places along each side of a plane."""
        return self.grid * self.patch

    @property
    def param_shapes(self) -> Mapping[str, tuple[int, ...]]:
        return {"planes": (len(self.pairs) * self.grid**2, self.patch**2 * self.features)}

    def planes(self, params: Params) -> Tensor:
        """The tokens put together as planes (B, planes, features, side, side)."""
        g, p, n = self.grid, self.patch, len(self.pairs)
        tokens = params["planes"].reshape(-1, n, g, g, p, p, self.features)
        return tokens.permute(0, 1, 6, 2, 4, 3, 5).reshape(-1, n, self.features, self.side, self.side)

    def glsl(self, params: Params) -> Shader:
        """Bilinear look-ups on the planes; with ``mip`` on the two copies whose cells are about as wide as a region."""
        planes, depth = self.planes(params)[0] / math.sqrt(len(self.pairs)), -(-self.features // 4)
        decoder = [layer for layer in self.decoder if isinstance(layer, nn.Linear)]
        shader = Shader(decoder[-1].out_features)
        copies = [copy.permute(0, 2, 3, 1) for copy in (halved(planes) if self.mip else [planes])]
        sides = [copy.shape[1] for copy in copies]
        shader.table("planes", torch.cat([copy.flatten(0, 2) for copy in copies]))
        starts = [sum(len(self.pairs) * side**2 for side in sides[:i]) * depth for i in range(len(sides))]
        shader.layers("decode", [(layer.weight, layer.bias) for layer in decoder])
        asked = "\n  ".join(
            f"plane({number}, vec2(x[{i}], x[{j}]), 0.5 * (v[{i}] + v[{j}]), f);"
            for number, (i, j) in enumerate(self.pairs)
        )
        shader.add(f"""
const int sides[{len(sides)}] = int[]({", ".join(map(str, sides))});
const int starts[{len(sides)}] = int[]({", ".join(map(str, starts))});
void look(int level, int n, vec2 x, float share, inout vec4 f[{depth}]) {{
  int side = sides[level];
  vec2 at = clamp((x + 1.0) / 2.0 * float(side) - 0.5, 0.0, float(side - 1));
  ivec2 low = ivec2(at), high = min(low + 1, side - 1);
  vec2 w = at - vec2(low);
  int row = starts[level] + {depth} * n * side * side;
  ivec4 cells = row + {depth} * ivec4(low.x * side + low.y, low.x * side + high.y,
    high.x * side + low.y, high.x * side + high.y);
  for (int i = 0; i < {depth}; i++)
    f[i] += share * mix(mix(number(cells.x + i), number(cells.y + i), w.y),
      mix(number(cells.z + i), number(cells.w + i), w.y), w.x);
}}
void plane(int n, vec2 x, float variance, inout vec4 f[{depth}]) {{
  float level = 0.5 * log2(clamp({12 * (self.side / 2) ** 2} * variance, 1.0, {4.0 ** (len(sides) - 1)}));
  int low = int(level);
  float more = level - float(low);
  look(low, n, x, 1.0 - more, f);
  if (more > 0.0) look(low + 1, n, x, more, f);
}}
void field(vec4 x, vec4 v, out vec4 y[OUTPUTS]) {{
  vec4 f[{depth}];
  for (int i = 0; i < {depth}; i++) f[i] = vec4(0);
  {asked}
  decode(f, y);
}}""")
        return shader

    def forward(self, params: Params, coords: Tensor) -> Tensor:
        planes = self.planes(params)
        coords = coords.to(planes.device)
        if coords.shape[-1] not in (self.axes, 2 * self.axes):
            raise UsageError(
                f"expected coordinates with {self.axes} or {2 * self.axes} columns, got {coords.shape[-1]}"
            )
        coords = coords.expand(planes.shape[0], -1, -1)
        mean, variance = coords[..., : self.axes], coords[..., self.axes :]
        found = planes.new_zeros(planes.shape[0], coords.shape[1], self.features)
        for number, pair in enumerate(self.pairs):
            plane, places = planes[:, number], mean[..., list(pair)]
            if variance.shape[-1]:
                found = found + self._blurred(plane, places, variance[..., list(pair)].mean(-1))
            else:
                found = found + look_up(plane, places)
        outputs: Tensor = self.decoder(found / math.sqrt(len(self.pairs)))
        return outputs.to(torch.promote_types(outputs.dtype, torch.float32))

    def _blurred(self, plane: Tensor, places: Tensor, variance: Tensor) -> Tensor:
        """Features (B, P, features) around places, from the two copies of a plane whose cells are about that wide."""
        copies = halved(plane)
        # A cell of side s has variance s² / 12; each copy's cells are twice as wide as those before.
        level = 0.5 * torch.log2((12 * variance * (self.side / 2) ** 2).clamp(1, 4 ** (len(copies) - 1)))
        shares = [(1 - (level - number).abs()).clamp_min(0)[..., None] for number in range(len(copies))]
        return sum(
            (share * look_up(copy, places) for share, copy in zip(shares, copies, strict=True)),
            start=places.new_zeros(()),
        )


def halved(plane: Tensor) -> list[Tensor]:
    """Planes (B, C, H, W) and copies of them, each half the size of the one before."""
    copies = [plane]
    while copies[-1].shape[-1] % 2 == 0 and copies[-1].shape[-1] > 2:
        copies.append(F.avg_pool2d(copies[-1], 2))
    return copies


def look_up(plane: Tensor, places: Tensor) -> Tensor:
    """Features (B, P, C) of planes (B, C, H, W) at places (B, P, 2) on [-1, 1]: first axis down, second across."""
    found = F.grid_sample(
        plane, places.flip(-1)[:, :, None].to(plane), mode="bilinear", padding_mode="border", align_corners=False
    )
    return found[..., 0].transpose(1, 2)
