"""The modulated SIREN of functa (arXiv:2201.12204): a SIREN (arXiv:2006.09661) with shifts per signal."""

import math
from collections.abc import Mapping
from typing import Self, final

import attrs
import torch
from torch import Tensor, nn

from inrkit import INRFunction, Params, Shader, between, option


@attrs.frozen
class SirenOptions:
    """Options of the function ``siren``; functa's for images of 64 x 64 has width 512, depth 15 and a latent of 512."""

    latent: int = option(256, "dimension of the latent vector, the params of one signal")
    width: int = option(128, "hidden dimension of the SIREN")
    depth: int = option(5, "layers of the SIREN", between(1, 1000))
    frequency: float = option(30.0, "frequency factor ω of the sine activations")


@final
class Siren(INRFunction):
    """x ← sin(ω (W x + b + shift)), layer by layer; the shifts of all layers are linear in the signal's latent.

    W, b and the map from latent to shifts are shared. The only param is the latent, as one token.
    """

    Options = SirenOptions
    head = "tokens"

    def __init__(self, axes: int, channels: int, options: SirenOptions) -> None:
        super().__init__()
        o = options
        self.latent, self.width, self.frequency = o.latent, o.width, o.frequency
        widths = [axes, *[o.width] * (o.depth - 1)]
        self.layers = nn.ModuleList(nn.Linear(widths[i], widths[i + 1]) for i in range(o.depth - 1))
        self.last = nn.Linear(o.width, channels)
        self.shifts = nn.Linear(o.latent, o.width * (o.depth - 1), bias=False)
        # SIREN, section 3.2: the arguments of all sines but the first then have unit variance.
        for i, layer in enumerate([*self.layers, self.last]):
            fan_in = layer.in_features
            bound = 1 / fan_in if i == 0 else math.sqrt(6 / fan_in) / o.frequency
            nn.init.uniform_(layer.weight, -bound, bound)
        nn.init.zeros_(self.last.bias)
        nn.init.normal_(self.shifts.weight, std=1 / o.frequency / math.sqrt(o.latent))

    @classmethod
    def build(cls, options: SirenOptions, *, axes: int, channels: int, size: tuple[int, ...]) -> Self:
        return cls(axes, channels, options)

    @property
    def param_shapes(self) -> Mapping[str, tuple[int, ...]]:
        return {"latent": (1, self.latent)}

    def glsl(self, params: Params) -> Shader:
        """Layers with sines between them; ω and the shifts become part of weights and biases."""
        shifts = self.shifts(params["latent"][0]).unflatten(-1, (-1, self.width))[0]
        layers = [
            (self.frequency * layer.weight, self.frequency * (layer.bias + shift))
            for layer, shift in zip(self.layers, shifts, strict=True)
            if isinstance(layer, nn.Linear)
        ]
        shader = Shader(self.last.out_features)
        shader.layers("siren", [*layers, (self.last.weight, self.last.bias)], "sin({})")
        shader.add("void field(vec4 x, vec4 v, out vec4 y[OUTPUTS]) { siren(vec4[](x), y); }")
        return shader

    def forward(self, params: Params, coords: Tensor) -> Tensor:
        shifts = self.shifts(params["latent"]).unflatten(-1, (-1, self.width))  # (B, 1, layers, width)
        x = coords.to(shifts)
        for i, layer in enumerate(self.layers):
            x = torch.sin(self.frequency * (layer(x) + shifts[:, :, i]))
        values: Tensor = self.last(x)
        return values.float()
