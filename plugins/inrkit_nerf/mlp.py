"""An MLP whose weights are the params, all of them instance-specific (TransINR, arXiv:2208.02801)."""

from collections.abc import Mapping
from typing import Self, final

import attrs
import torch
from torch import Tensor

from inrkit import INRFunction, Params, Shader, between, option
from inrkit_nerf.encoding import PositionalEncoding


@attrs.frozen
class MLPOptions:
    """Options of the function ``mlp``."""

    width: int = option(256, "hidden dimension of the MLP")
    depth: int = option(6, "layers of the MLP", between(1, 1000))
    frequencies: int = option(20, "frequencies of the positional encoding, for each axis")
    octaves: float = option(8.0, "octaves of the positional encoding: the highest frequency is 2 to this power")
    mip: bool = option(False, "anti-aliasing as in mip-NeRF: coordinates come with their variances")


@final
class MLP(INRFunction):
    """Linear layers with ReLU over a positional encoding; params are matrices (fan_in + 1, fan_out), bias last.

    One batched matrix product over (objects, places) a layer. With ``mip`` coordinates have twice as many columns: the
    middle of what is looked at, and its variance on each axis.
    """

    Options = MLPOptions
    head = "columns"

    def __init__(self, axes: int, channels: int, options: MLPOptions) -> None:
        super().__init__()
        self.axes, self.mip = axes, options.mip
        self.encoding = PositionalEncoding(axes, options.frequencies, options.octaves)
        widths = [self.encoding.dim, *[options.width] * (options.depth - 1), channels]
        self.shapes = {f"layer{i}": (widths[i] + 1, widths[i + 1]) for i in range(options.depth)}

    @classmethod
    def build(cls, options: MLPOptions, *, axes: int, channels: int, size: tuple[int, ...]) -> Self:
        return cls(axes, channels, options)

    @property
    def param_shapes(self) -> Mapping[str, tuple[int, ...]]:
        return self.shapes

    def glsl(self, params: Params) -> Shader:
        """Cosines, damped by the variances, and the layers."""
        layers = [params[name][0] for name in self.shapes]
        shader = Shader(layers[-1].shape[1])
        waves = shader.fourier("encoding", self.encoding.frequencies, self.axes)
        shader.layers("mlp", [(layer[:-1].T, layer[-1]) for layer in layers])
        shader.add(f"""
void field(vec4 x, vec4 v, out vec4 y[OUTPUTS]) {{
  vec4 features[{waves}];
  encoding(x, v, features);
  mlp(features, y);
}}""")
        return shader

    def forward(self, params: Params, coords: Tensor) -> Tensor:
        parts = coords.tensor_split([self.axes], dim=-1) if self.mip else [coords]
        x = self.encoding(*parts).expand(next(iter(params.values())).shape[0], -1, -1)
        for i, name in enumerate(self.shapes):
            weight = params[name]
            x = torch.baddbmm(weight[:, -1:], x if i == 0 else torch.relu_(x), weight[:, :-1])
        return x
