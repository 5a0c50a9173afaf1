"""ANR, the attention-based INR (arXiv:2407.15355): a coordinate attends to the tokens of its signal."""

import math
from collections.abc import Mapping
from typing import Self, final

import attrs
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inrkit import INRFunction, Params, UsageError, attend, features_for, grid_centers, option


@attrs.frozen
class ANROptions:
    """Options of the function ``anr``."""

    patch: int = option(4, "side of the grid patch that each token stands for")
    width: int = option(64, "dimension of the tokens and hidden layers")
    inner: int = option(64, "dimension of the attention (all heads together)")
    heads: int = option(2, "attention heads")
    depth: int = option(3, "layers of the MLP, which follows the attention")
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
        tokens = params["tokens"]
        q = self._split(self.q(self.features(coords.to(tokens.device)))).expand(len(tokens), -1, -1, -1)
        k, v = self._split(self.k(tokens)), self._split(self.v(tokens))
        look_up = self._attend_above_threshold if self.threshold else attend
        first, *others = self.mlp
        # Two linear layers in a row are one, and their product is small beside a layer's work for all places.
        weight, bias = first.get_parameter("weight") @ self.out.weight, first(self.out.bias)
        values = F.linear(look_up(q, k, v).transpose(1, 2).flatten(2), weight, bias)
        for layer in others:
            values = layer(values)
        return values.float()

    def _split(self, x: Tensor) -> Tensor:
        return torch.unflatten(x, -1, (self.heads, -1)).transpose(1, 2)

    def _attend_above_threshold(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        attention = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).float().softmax(-1)
        attention = (attention - self.threshold).clamp_min(0)
        # A place where every token lies below the threshold would otherwise divide by zero.
        shares: Tensor = attention / (attention.sum(-1, keepdim=True) + 1e-8)
        return shares.to(v.dtype) @ v


def _gain(width: int, heads: int, inner: int) -> float:
    """Makes a place's attention to the token right there start at a logit of about 8, whatever the sizes."""
    similarity = width / 2 / heads * min(1.0, inner / width)  # of features with themselves, in one head
    return math.sqrt(8.0 / (similarity / math.sqrt(inner / heads)))
