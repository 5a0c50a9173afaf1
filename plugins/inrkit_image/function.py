"""ANR, the attention-based INR (arXiv:2407.15355): a coordinate attends to the tokens of its signal."""

import math
from collections.abc import Mapping
from typing import Any, Self, final

import attrs
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inrkit import (
    INRFunction,
    Params,
    Shader,
    UsageError,
    attend,
    between,
    features_for,
    full_precision,
    grid_centers,
    option,
)


@attrs.frozen
class ANROptions:
    """Options of the function ``anr``."""

    patch: int = option(4, "side of the grid patch that each token stands for")
    width: int = option(64, "dimension of the tokens and hidden layers")
    inner: int = option(64, "dimension of the attention (all heads together)")
    heads: int = option(2, "attention heads")
    depth: int = option(3, "layers of the MLP, which follows the attention", between(1, 1000))
    max_frequency: float | None = option(None, "highest Fourier-feature frequency; none: the grid's Nyquist frequency")
    threshold: float = option(0.0, "attention weights below this become zero (ANR: 0.0015); 0 is faster")
    localized: bool = option(True, "initialise so that each place attends to the nearest tokens")
    space: str = option("line", "topology of the coordinates: line, circle, one word per axis, or sphere")


@final
class ANR(INRFunction):
    """Localized attention over the instance's tokens, then an MLP that all instances share.

    features(x) asks, the tokens answer: q = W_q features(x), k = W_k tokens, v = W_v tokens; the answer goes through
    ``depth`` - 1 hidden layers. Only the tokens belong to the instance. Works for any number of axes.

    Attention below ``threshold`` is cut off and the rest renormalised (the paper's .0015 is for 256 tokens); with 0
    PyTorch's fused attention does the work.
    """

    Options = ANROptions
    head = "tokens"

    @classmethod
    def build(cls, options: ANROptions, *, axes: int, channels: int, size: tuple[int, ...]) -> Self:
        o = options
        if len(size) != axes or any(n < o.patch for n in size):
            raise UsageError(f"'anr' needs a grid of at least {o.patch} cells along each of {axes} axes (got {size})")
        if o.inner % o.heads:
            raise UsageError(f"'anr': 'inner' must be a multiple of 'heads' (got {o.inner} and {o.heads})")
        return cls(axes, channels, size, o)

    def __init__(self, axes: int, channels: int, size: tuple[int, ...], options: ANROptions) -> None:
        super().__init__()
        o, width = options, options.width
        self.grid = tuple(n // o.patch for n in size)
        self.width, self.heads, self.threshold = width, o.heads, o.threshold
        self.token_grid = self.grid if o.localized else None
        self.on_sphere = o.space == "sphere"
        self.features = features_for(o.space, axes, width, o.max_frequency or max(size) / 2)
        self.q, self.k, self.v = (nn.Linear(width, o.inner, bias=False) for _ in range(3))
        self.out = nn.Linear(o.inner, width)
        layers: list[nn.Module] = []
        for _ in range(o.depth - 1):
            layers += [nn.Linear(width, width), nn.ReLU()]
        last = nn.Linear(width, channels)
        self.mlp = nn.Sequential(*layers, last)
        if o.localized:
            nn.init.orthogonal_(self.q.weight, gain=_gain(width, o.heads, o.inner))
            with torch.no_grad():
                self.k.weight.copy_(self.q.weight)
        for layer in self.mlp:
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)
        nn.init.xavier_uniform_(last.weight)

    @property
    def param_shapes(self) -> Mapping[str, tuple[int, ...]]:
        return {"tokens": (math.prod(self.grid), self.width)}

    def token_positions(self) -> Tensor:
        """The features of the places where the tokens lie: what localized tokens start from, (n, width)."""
        features: Tensor = self.features(grid_centers(self.grid))
        return features

    def forward(self, params: Params, coords: Tensor) -> Tensor:
        tokens = params["tokens"].float()
        look_up = self._attend_above_threshold if self.threshold else attend
        with full_precision(tokens.device):  # in bf16 a place cannot tell tokens from those of the next noise level
            q = self._split(self.q(self.features(coords.to(tokens)))).expand(tokens.shape[0], -1, -1, -1)
            found = look_up(q, self._split(self.k(tokens)), self._split(self.v(tokens))).transpose(1, 2).flatten(2)
        first, *others = self.mlp
        # Two linear layers in a row are one, and their product is small beside a layer's work for all places.
        weight, bias = first.get_parameter("weight") @ self.out.weight, first(self.out.bias)
        values = F.linear(found, weight, bias)
        for layer in others[:-1]:
            values = layer(values)
        with full_precision(values.device):
            return others[-1](values.float()) if others else values.float()

    def glsl(self, params: Params) -> Shader:
        """Queries of the place, a loop over the tokens with the softmax kept up as it goes, then the layers."""
        first, *others = [layer for layer in self.mlp if isinstance(layer, nn.Linear)]
        shader = Shader([first, *others][-1].out_features)
        heads, (count, _) = self.heads, self.param_shapes["tokens"]
        part = self.q.out_features // heads
        blocks, fill, open_end = -(-part // 4), -part % 4, -count % 4
        tokens = params["tokens"][0].float()

        def split(x: Tensor) -> Tensor:
            """(rows, inner) to (heads, rows, blocks, 4)."""
            return torch.unflatten(F.pad(torch.unflatten(x, -1, (heads, part)).transpose(0, 1), (0, fill)), -1, (-1, 4))

        keys, values = (
            F.pad(split(x(tokens)), (0, 0, 0, 0, 0, open_end)).unflatten(1, (-1, 4)) for x in (self.k, self.v)
        )
        sphere = "x = vec4(cos(-HALF * x.x) * cos(2.0 * HALF * x.y), cos(-HALF * x.x) * sin(2.0 * HALF * x.y), "
        sphere = f"const float HALF = {math.pi / 2};\n  {sphere}sin(-HALF * x.x), 0);" if self.on_sphere else ""
        features: Any = getattr(self.features, "features", self.features)
        waves = shader.fourier("features", features.frequencies, 3 if self.on_sphere else len(self.grid))
        query = split(self.q.weight.T).permute(0, 2, 3, 1).flatten(0, 2) / part**0.5
        shader.linear("query", query[:, : features.dim])
        shader.table("keys", keys.permute(0, 1, 3, 4, 2))
        shader.table("values", values.permute(0, 1, 3, 2, 4))
        fused = F.pad((first.weight @ self.out.weight).unflatten(1, (heads, part)), (0, fill)).flatten(1)
        shader.layers("answer", [(fused, first(self.out.bias)), *((layer.weight, layer.bias) for layer in others)])
        sizes = {"heads": heads, "blocks": blocks, "groups": -(-count // 4), "count": count, "waves": waves}
        body = _THRESHOLD if self.threshold else _SOFTMAX
        shader.add(_GLSL.format(**sizes, sphere=sphere, body=body.format(**sizes, threshold=self.threshold)))
        return shader

    def _split(self, x: Tensor) -> Tensor:
        return torch.unflatten(x, -1, (self.heads, -1)).transpose(1, 2)

    def _attend_above_threshold(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        attention = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1)
        attention = (attention - self.threshold).clamp_min(0)
        # A place where every token lies below the threshold would otherwise divide by zero.
        shares: Tensor = attention / (attention.sum(-1, keepdim=True) + 1e-8)
        return shares @ v


_GLSL = """
vec4 logits(int h, int t, vec4 q[{heads} * {blocks}]) {{
  vec4 l = vec4(0);
  int at = keys + 4 * {blocks} * (h * {groups} + t);
  for (int i = 0; i < {blocks}; i++, at += 4)
    l += mat4(number(at), number(at + 1), number(at + 2), number(at + 3)) * q[h * {blocks} + i];
  return mix(vec4(-1e9), l, lessThan(ivec4(4 * t) + ivec4(0, 1, 2, 3), ivec4({count})));
}}
void add(int h, int t, vec4 share, inout vec4 a[{heads} * {blocks}]) {{
  int at = values + 4 * {blocks} * (h * {groups} + t);
  for (int i = 0; i < {blocks}; i++, at += 4)
    a[h * {blocks} + i] += mat4(number(at), number(at + 1), number(at + 2), number(at + 3)) * share;
}}
void field(vec4 x, vec4 v, out vec4 y[OUTPUTS]) {{
  vec4 f[{waves}], q[{heads} * {blocks}], a[{heads} * {blocks}];
  {sphere}
  features(x, v, f);
  query(f, q);
  for (int i = 0; i < {heads} * {blocks}; i++) a[i] = vec4(0);
  for (int h = 0; h < {heads}; h++) {{
    float top = -1e9, sum = 0.0;
    for (int t = 0; t < {groups}; t++) {{
      vec4 l = logits(h, t, q);
      float next = max(top, max(max(l.x, l.y), max(l.z, l.w))), kept = exp(top - next);
      vec4 share = exp(l - next);
      sum = sum * kept + dot(share, vec4(1));
      {body}
    }}
    for (int i = 0; i < {blocks}; i++) a[h * {blocks} + i] /= sum;
  }}
  answer(a, y);
}}"""
_SOFTMAX = """for (int i = 0; i < {blocks}; i++) a[h * {blocks} + i] *= kept;
      add(h, t, share, a);
      top = next;"""
_THRESHOLD = """top = next;
    }}
    float all = sum;
    sum = 1e-8;
    for (int t = 0; t < {groups}; t++) {{
      vec4 share = max(exp(logits(h, t, q) - top) / all - {threshold}, 0.0);
      add(h, t, share, a);
      sum += dot(share, vec4(1));"""


def _gain(width: int, heads: int, inner: int) -> float:
    """Makes a place's attention to the token right there start at a logit of about 8, whatever the sizes."""
    similarity = width / 2 / heads * min(1.0, inner / width)  # of features with themselves, in one head
    return math.sqrt(8.0 / (similarity / math.sqrt(inner / heads)))
