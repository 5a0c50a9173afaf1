"""Overlapping windows, each with a token that mixes a dictionary of shared waves (inrkit's own)."""

import itertools
import math
from collections.abc import Mapping
from typing import Self, final

import attrs
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inrkit import INRFunction, Params, Shader, UsageError, between, closed_axes, full_precision, option


@attrs.frozen
class WindowsOptions:
    """Options of the function ``windows``."""

    patch: int = option(16, "spacing of the windows, in samples; each reaches to the centres of the next")
    width: int = option(64, "number of waves in the shared dictionary, the dimension of a token")
    hidden: int = option(128, "hidden dimension of the network that defines the dictionary")
    depth: int = option(2, "layers of the network that defines the dictionary", between(1, 1000))
    space: str = option("line", "topology of the coordinates: line, circle, or one word per axis")


@final
class Windows(INRFunction):
    """f(x) = Σ_n w(x - x_n) Σ_k token_nk wave_k(x - x_n): linear in the tokens, and cheap for long signals.

    The tokens lie on a grid; each is seen through its own window. The windows w are products of cos² and add up to 1;
    the waves are a network's answer to Fourier features of the offset, shared by all windows of all instances. A place
    meets the tokens of the cells around it alone, so the cost of a place does not depend on the signal's length. Works
    for any number of axes.
    """

    Options = WindowsOptions
    head = "tokens"
    turns: Tensor
    cells: Tensor
    corners: Tensor

    @classmethod
    def build(cls, options: WindowsOptions, *, axes: int, channels: int, size: tuple[int, ...]) -> Self:
        o = options
        if len(size) != axes or any(n < o.patch for n in size):
            raise UsageError(f"'windows' needs a grid of at least {o.patch} cells along {axes} axes (got {size})")
        return cls(axes, channels, size, o)

    def __init__(self, axes: int, channels: int, size: tuple[int, ...], options: WindowsOptions) -> None:
        super().__init__()
        o = options
        self.grid = self.token_grid = tuple(n // o.patch for n in size)
        self.block = o.patch**axes
        self.width, self.channels, self.closed = o.width, channels, closed_axes(o.space, axes)
        # Up to one half turn for each sample of a cell.
        count = max(8, o.patch)
        self.register_buffer("cells", torch.tensor(self.grid), persistent=False)
        corners = torch.tensor(list(itertools.product((0, 1), repeat=axes)))
        self.register_buffer("corners", corners, persistent=False)
        self.register_buffer("turns", math.pi * torch.arange(1, count + 1) * (o.patch / count), persistent=False)
        layers: list[nn.Module] = []
        inputs = 1 + 2 * axes * count
        for _ in range(o.depth - 1):
            layers += [nn.Linear(inputs, o.hidden), nn.SiLU()]
            inputs = o.hidden
        self.waves = nn.Sequential(*layers, nn.Linear(inputs, channels * o.width))

    @property
    def param_shapes(self) -> Mapping[str, tuple[int, ...]]:
        return {"tokens": (math.prod(self.grid), self.width)}

    def token_positions(self) -> Tensor:
        """Nothing: a window knows where it is, and silence is where a signal starts from."""
        return torch.zeros(math.prod(self.grid), self.width)

    def forward(self, params: Params, coords: Tensor) -> Tensor:
        tokens = params["tokens"].float()
        place = (coords.to(tokens).float() + 1) / 2 * self.cells - 0.5  # in cells, from the first one's center
        near = place.floor()[:, None] + self.corners[:, None]  # (B or 1, corners, P, axes)
        offset = place[:, None] - near  # in [-1, 1]
        window = (offset * (math.pi / 2)).cos().square().prod(-1)
        waves = self._waves(offset) * window[..., None, None]  # (B or 1, corners, P, channels, width)
        cells = self._cells(near.long())
        if torch.compiler.is_compiling():  # no number of blocks that depends on the places can be traced
            each = [self._tokens_at(tokens, at) for at in cells.unbind(1)]
            return (waves @ torch.stack(each, 1)[..., None])[..., 0].sum(1)
        if cells.shape[0] == 1:
            values = self._mixed(tokens.permute(1, 2, 0), cells, waves)
            return values[0].permute(2, 0, 1)
        starts = torch.arange(len(cells), device=cells.device)[:, None, None] * tokens.shape[1]
        return self._mixed(tokens.flatten(0, 1)[..., None], cells + starts, waves)[..., 0]

    def _mixed(self, tokens: Tensor, cells: Tensor, waves: Tensor) -> Tensor:
        """The waves (..., corners, P, channels, width) times the tokens (cells, width, columns) of ``cells``, added up
        over the corners: one product of matrices for each block of places that see the same cell."""
        found, order = cells.flatten().sort()
        each = torch.arange(len(found), device=found.device)
        starts = torch.searchsorted(found, torch.arange(len(tokens) + 1, device=found.device))
        ends = (-(-starts.diff() // self.block)).cumsum(0)  # of the cells' blocks
        gaps = F.pad(ends[:-1], (1, 0)) * self.block - starts[:-1]
        slots = torch.empty_like(order).index_copy_(0, order, each + gaps[found])
        # As many blocks as there can be: how many there are is known to the device alone, which need not be waited for.
        blocks = torch.arange(len(found) // self.block + len(tokens), device=found.device)
        filled = order.new_zeros(len(blocks) * self.block).index_copy_(0, slots, each)
        packed = waves.flatten(0, -3)[filled].unflatten(0, (-1, self.block)).flatten(1, 2)
        owners = torch.searchsorted(ends, blocks, right=True).clamp_max(len(tokens) - 1)
        with full_precision(packed.device):
            mixed = torch.bmm(packed, tokens[owners])
        values = mixed.unflatten(1, (self.block, -1)).flatten(0, 1)
        at_places: Tensor = torch.unflatten(values[slots], 0, cells.shape)
        return at_places.sum(-4)

    def glsl(self, params: Params) -> Shader:
        """The sum over the windows around a place; the dictionary's waves are computed anew for each of them."""
        axes, shader = len(self.grid), Shader(self.channels)
        matrix = (torch.eye(axes)[:, None] * self.turns.cpu()[:, None]).flatten(0, 1)
        phases = torch.tensor([0.0, -math.pi / 2]).repeat_interleave(len(matrix))
        waves = shader.cosines("waves", F.pad(matrix.repeat(2, 1), (0, 0, 1, 0)), F.pad(phases, (1, 0)))
        layers: list[tuple[Tensor, Tensor]] = [
            (layer.weight, layer.bias) for layer in self.waves if isinstance(layer, nn.Linear)
        ]
        width, channels = -(-self.width // 4), self.channels
        weight, bias = layers[-1]
        fill = -self.width % 4  # each channel's waves begin with a vector of their own
        weight = F.pad(weight.unflatten(0, (channels, -1)), (0, 0, 0, fill)).flatten(0, 1)
        layers[-1] = weight, F.pad(bias.unflatten(0, (channels, -1)), (0, fill)).flatten()
        shader.layers("dictionary", layers, "({0} / (1.0 + exp(-{0})))")
        shader.table("tokens", params["tokens"][0])
        corners = ", ".join("vec4({}, {}, {}, {})".format(*F.pad(c, (0, 4 - axes)).tolist()) for c in self.corners)
        grid, closed = (", ".join(str(int(n)) for n in row) + ", 1" * (4 - axes) for row in (self.grid, self.closed))
        cell = "0"
        for axis, n in enumerate(self.grid):
            cell = f"({cell}) * {n} + at[{axis}]"
        shader.add(f"""
void field(vec4 x, vec4 v, out vec4 y[OUTPUTS]) {{
  const vec4 corners[{len(self.corners)}] = vec4[]({corners});
  const ivec4 grid = ivec4({grid}), closed = ivec4({closed});
  const vec4 used = vec4(lessThan(ivec4(0, 1, 2, 3), ivec4({axes})));
  float sums[4 * OUTPUTS];
  for (int c = 0; c < 4 * OUTPUTS; c++) sums[c] = 0.0;
  vec4 place = ((x + 1.0) / 2.0 * vec4(grid) - 0.5) * used;
  for (int n = 0; n < {len(self.corners)}; n++) {{
    vec4 near = floor(place) + corners[n], offset = place - near;
    vec4 w = cos(offset * {math.pi / 2});
    w *= w;
    ivec4 cell = ivec4(near), around = cell - grid * ivec4(floor(near / vec4(grid)));
    ivec4 at = closed * around + (1 - closed) * clamp(cell, ivec4(0), grid - 1);
    vec4 features[{waves}], d[{width * channels}];
    waves(offset, vec4(0), features);
    dictionary(features, d);
    for (int c = 0; c < {channels}; c++) for (int i = 0; i < {width}; i++)
      sums[c] += w.x * w.y * w.z * w.w * dot(number(tokens + ({cell}) * {width} + i), d[c * {width} + i]);
  }}
  for (int o = 0; o < OUTPUTS; o++) y[o] = vec4(sums[4 * o], sums[4 * o + 1], sums[4 * o + 2], sums[4 * o + 3]);
}}""")
        return shader

    def _waves(self, offset: Tensor) -> Tensor:
        angles = (offset[..., None] * self.turns).flatten(-2)
        features = torch.cat([torch.ones_like(angles[..., :1]), angles.cos(), angles.sin()], dim=-1)
        waves: Tensor = self.waves(features)
        return torch.unflatten(waves.float(), -1, (self.channels, self.width))

    def _tokens_at(self, tokens: Tensor, cells: Tensor) -> Tensor:
        if cells.shape[0] == 1:
            return tokens[:, cells[0]]
        return tokens.gather(1, cells[..., None].expand(-1, -1, self.width))

    def _cells(self, cell: Tensor) -> Tensor:
        """The number of each cell (..., axes); beyond an open border the outermost go on."""
        flat = torch.zeros_like(cell[..., 0])
        for axis, (n, closed) in enumerate(zip(self.grid, self.closed, strict=True)):
            flat = flat * n + (cell[..., axis] % n if closed else cell[..., axis].clamp(0, n - 1))
        return flat
