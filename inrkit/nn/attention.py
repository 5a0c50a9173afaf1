"""Attention, and the transformer blocks of the hyper-network."""

from typing import TYPE_CHECKING, final

import torch
from torch import Tensor, nn
from torch.autograd.forward_ad import unpack_dual
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from inrkit.core.dropout import SharedDropout
from inrkit.errors import UsageError
from inrkit.nn.precision import full_precision


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q k / sqrt(d)) v for q (B, heads, N, d) and k, v (B, heads, M, d).

    PyTorch's scaled-dot-product attention, but for few scores in bf16 on a processor: there its fused kernel is 2 to 5
    times slower, forward and backward, than three plain operations (benchmarks/attention.py).
    """
    if any(unpack_dual(x).tangent is not None for x in (q, k, v)):  # fused kernels have no forward-mode derivative
        with sdpa_kernel(SDPBackend.MATH):
            return F.scaled_dot_product_attention(q, k, v)
    low = torch.is_autocast_enabled("cpu") or q.dtype == torch.bfloat16
    if q.device.type == "cpu" and low and q[..., 0].numel() * k.shape[-2] <= _FEW:
        scores: Tensor = q @ (k * q.shape[-1] ** -0.5).transpose(-1, -2)
        return scores.softmax(-1).to(v.dtype) @ v
    return F.scaled_dot_product_attention(q, k, v)


_FEW = 1 << 26  # scores that are kept at once: 128 MiB in bf16


@final
class Attention(nn.Module):
    """Multi-head attention from x to ``to`` (itself by default), by PyTorch's scaled-dot-product attention.

    Args:
        dim: Width of x and of the result.
        heads: Number of heads.
        bias: Whether queries, keys and values have a bias.
        tied: Start with equal query and key projections, so that a token first attends to what resembles it. With
            position embeddings of the same kind on both sides that is its own neighbourhood.
    """

    def __init__(self, dim: int, heads: int, *, bias: bool = True, tied: bool = False) -> None:
        super().__init__()
        if dim % heads:
            raise UsageError(f"the width must be a multiple of the number of heads (got {dim} and {heads})")
        self.heads = heads
        self.q = nn.Linear(dim, dim, bias=bias)
        self.kv = nn.Linear(dim, 2 * dim, bias=bias)
        self.proj = nn.Linear(dim, dim)
        for layer in (self.q, self.kv, self.proj):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        nn.init.xavier_uniform_(self.kv.weight[:dim])
        nn.init.xavier_uniform_(self.kv.weight[dim:])
        if tied:
            # Orthogonal, so that the similarity of two embeddings survives the projection.
            nn.init.orthogonal_(self.q.weight)
            with torch.no_grad():
                self.kv.weight[:dim].copy_(self.q.weight)

    def forward(self, x: Tensor, to: Tensor | None = None) -> Tensor:
        """x (B or 1, N, dim), to (B, M, dim), result (B, N, dim)."""
        projected = self.q(x), *self.kv(x if to is None else to).chunk(2, -1)
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in projected)
        out: Tensor = self.proj(attend(q.expand(k.shape[0], -1, -1, -1), k, v).transpose(1, 2).flatten(2))
        return out

    if TYPE_CHECKING:
        __call__ = forward


@final
class FeedForward(nn.Module):
    """Linear, GELU, dropout, Linear."""

    def __init__(self, dim: int, hidden: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)
        self.dropout = SharedDropout(dropout)
        for layer in (self.fc1, self.fc2):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(self.dropout(F.gelu(self.fc1(x))))
        return out

    if TYPE_CHECKING:
        __call__ = forward


def _modulation(dim: int, parts: int) -> nn.Sequential:
    """From a condition (B, dim) to shifts, scales and gates of a layer norm, (B, parts * dim), all zero at first."""
    linear = nn.Linear(dim, parts * dim)
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    return nn.Sequential(nn.SiLU(), linear)


@final
class ConditionedNorm(nn.Module):
    """A layer norm whose scale and shift the condition decides, as before the last layer of a DiT; starts plain."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim, eps=1e-6, elementwise_affine=False)
        self.adaLN_modulation = _modulation(dim, 2)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """x (B, N, dim), condition (B, dim)."""
        with full_precision(condition.device):
            shift, scale = self.adaLN_modulation(condition.float())[:, None].chunk(2, dim=-1)
        return torch.addcmul(shift, self.norm(x), 1 + scale)

    if TYPE_CHECKING:
        __call__ = forward


@final
class EncoderBlock(nn.Module):
    """A DiT block: attention and feed-forward, modulated by the condition; starts as the identity (adaLN-Zero)."""

    def __init__(self, dim: int, heads: int, hidden: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.attn = Attention(dim, heads)
        self.mlp = FeedForward(dim, hidden, dropout=dropout)
        self.norm = nn.LayerNorm(dim, eps=1e-6, elementwise_affine=False)
        self.adaLN_modulation = _modulation(dim, 6)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """x (B, N, dim), condition (B, dim)."""
        with full_precision(condition.device):
            modulation: Tensor = self.adaLN_modulation(condition.float())[:, None]
        shift_a, scale_a, gate_a, shift_f, scale_f, gate_f = modulation.chunk(6, dim=-1)
        x = x + gate_a * self.attn(torch.addcmul(shift_a, self.norm(x), 1 + scale_a))
        return x + gate_f * self.mlp(torch.addcmul(shift_f, self.norm(x), 1 + scale_f))


@final
class DecoderBlock(nn.Module):
    """The INR tokens look at each other, then at the encoded observation, then think (TransINR)."""

    def __init__(self, dim: int, heads: int, hidden: int, *, dropout: float = 0.0, tied: bool = False) -> None:
        super().__init__()
        self.self_attn = Attention(dim, heads, bias=False)
        self.cross_attn = Attention(dim, heads, bias=False, tied=tied)
        self.mlp = FeedForward(dim, hidden, dropout=dropout)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(dim) for _ in range(3))

    def forward(self, x: Tensor, to: Tensor) -> Tensor:
        """x (B, N, dim), or (1, N, dim) where all rows begin with the same tokens; to (B, M, dim)."""
        x = x + self.self_attn(self.norm1(x))
        x = x + self.cross_attn(self.norm2(x), to)
        return x + self.mlp(self.norm3(x))
