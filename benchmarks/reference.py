"""The image model once more, written as plainly as possible, in fp32: what the benchmarks compare with.

The same mathematics with the same names of weights, so that `load_state_dict` takes those of a pipeline, and nothing of
its care: softmax attention spelled out, coordinates and their features worked out for each row of the batch, a teacher
pass for all rows, no autocast, nothing chunked, shared or fused. Not slow on purpose: it is what one writes first.
"""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inrkit import Batch, Draws, Inrct
from inrkit.core.objective.base import clean_rows
from inrkit.core.objective.distance import DISTANCES
from inrkit.core.objective.weighting import WEIGHTINGS


class Attention(nn.Module):
    def __init__(self, dim: int, heads: int, *, bias: bool = True) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(dim, dim, bias=bias)
        self.kv = nn.Linear(dim, 2 * dim, bias=bias)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, to: Tensor) -> Tensor:
        k, v = self.kv(to).chunk(2, dim=-1)
        out: Tensor = self.proj(softmax_attention(self.q(x), k, v, self.heads))
        return out


def softmax_attention(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """q (B, N, dim), k and v (B, M, dim), result (B, N, dim)."""
    q, k, v = (x.reshape(*x.shape[:2], heads, -1).transpose(1, 2) for x in (q, k, v))
    attention = torch.softmax(q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1]), dim=-1)
    return (attention @ v).transpose(1, 2).flatten(2)


class FeedForward(nn.Module):
    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(dim, hidden), nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return out


class EncoderBlock(nn.Module):
    def __init__(self, dim: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.attn, self.mlp = Attention(dim, heads), FeedForward(dim, hidden)
        self.norm = nn.LayerNorm(dim, eps=1e-6, elementwise_affine=False)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(dim, 6 * dim))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        shift_a, scale_a, gate_a, shift_f, scale_f, gate_f = self.adaLN_modulation(condition)[:, None].chunk(6, dim=2)
        y = self.norm(x) * (1 + scale_a) + shift_a
        x = x + gate_a * self.attn(y, y)
        out: Tensor = x + gate_f * self.mlp(self.norm(x) * (1 + scale_f) + shift_f)
        return out


class DecoderBlock(nn.Module):
    def __init__(self, dim: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.self_attn = Attention(dim, heads, bias=False)
        self.cross_attn = Attention(dim, heads, bias=False)
        self.mlp = FeedForward(dim, hidden)
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(dim), nn.LayerNorm(dim), nn.LayerNorm(dim)

    def forward(self, x: Tensor, to: Tensor) -> Tensor:
        y = self.norm1(x)
        x = x + self.self_attn(y, y)
        x = x + self.cross_attn(self.norm2(x), to)
        out: Tensor = x + self.mlp(self.norm3(x))
        return out


class Tokenizer(nn.Module):
    def __init__(self, patches: int, patch: int, channels: int, dim: int) -> None:
        super().__init__()
        self.patch = patch
        self.embed = nn.Linear(channels * patch**2, dim)
        self.position = nn.Parameter(torch.zeros(patches, dim))

    def forward(self, images: Tensor) -> Tensor:
        out: Tensor = self.embed(F.unfold(images, self.patch, stride=self.patch).transpose(1, 2)) + self.position
        return out


class Head(nn.Module):
    def __init__(self, count: int, dim: int, width: int) -> None:
        super().__init__()
        self.norm, self.linear = nn.LayerNorm(dim), nn.Linear(dim, width)
        self.scale, self.offset = nn.Parameter(torch.ones(count, width)), nn.Parameter(torch.zeros(count, width))

    def forward(self, tokens: Tensor) -> Tensor:
        out: Tensor = self.offset + self.scale * self.linear(self.norm(tokens))
        return out


class HyperNetwork(nn.Module):
    def __init__(self, o: Any, size: tuple[int, int], tokens: int) -> None:
        super().__init__()
        patches = size[0] * size[1] // o.patch**2
        self.tokenizer = Tokenizer(patches, o.patch, o.channels, o.width)
        self.heads = nn.ModuleDict({"tokens": Head(tokens, o.width, o.inr_width)})
        self.condition = nn.ModuleDict(
            {"level": nn.Sequential(nn.Linear(256, o.width), nn.SiLU(), nn.Linear(o.width, o.width))}
        )
        self.encoder = nn.ModuleList(EncoderBlock(o.width, o.heads, o.hidden) for _ in range(o.depth))
        self.decoder = nn.ModuleList(DecoderBlock(o.width, o.heads, o.hidden) for _ in range(o.decoder_depth))
        self.tokens = nn.Parameter(torch.zeros(tokens, o.width))

    def forward(self, images: Tensor, level: Tensor) -> Tensor:
        angles = level[:, None] * torch.exp(-math.log(10_000) * torch.arange(128) / 128)
        condition = self.condition["level"](torch.cat([angles.cos(), angles.sin()], dim=1))
        x = self.tokenizer(images)
        for block in self.encoder:
            x = block(x, condition)
        tokens = self.tokens.expand(len(x), -1, -1)
        for block in self.decoder:
            tokens = block(tokens, x)
        out: Tensor = self.heads["tokens"](tokens)
        return out


class Function(nn.Module):
    def __init__(self, o: Any, max_frequency: float) -> None:
        super().__init__()
        self.heads = o.inr_heads
        self.frequencies = math.pi * torch.exp(torch.linspace(0, math.log(max_frequency), o.inr_width // 4))
        self.q, self.k, self.v = (nn.Linear(o.inr_width, o.inr_inner, bias=False) for _ in range(3))
        self.out = nn.Linear(o.inr_inner, o.inr_width)
        layers: list[nn.Module] = []
        for _ in range(o.inr_depth - 1):
            layers += [nn.Linear(o.inr_width, o.inr_width), nn.ReLU()]
        self.mlp = nn.Sequential(*layers, nn.Linear(o.inr_width, o.channels))

    def forward(self, tokens: Tensor, coords: Tensor) -> Tensor:
        angles = (coords[..., None] * self.frequencies).flatten(2)
        features = torch.cat([angles.cos(), angles.sin()], dim=2)
        found = softmax_attention(self.q(features), self.k(tokens), self.v(tokens), self.heads)
        out: Tensor = self.mlp(self.out(found))
        return out


class Reference(nn.Module):
    """The image model with the `direct` read-out, for images of one size.

    Args:
        o: The options of the image modality.
        width: Of the read-out's c_skip.
    """

    def __init__(self, o: Any, width: float = 0.1) -> None:
        super().__init__()
        size = o.query_size or o.size
        self.sigma_data, self.width = o.sigma_data, width
        self.denoiser = HyperNetwork(o, o.size, size[0] * size[1] // o.token_patch**2)
        self.function = Function(o, o.max_frequency or max(size) / 2)

    def render(self, images: Tensor, t: Tensor, coords: Tensor) -> Tensor:
        """What the INRs of noisy images (B, C, H, W) show at coords (B, P, 2): (B, C, P)."""
        scaled = images / torch.sqrt(self.sigma_data**2 + t**2)[:, None, None, None]
        tokens = self.denoiser(scaled, t.clamp_min(0.003).log() / 4)
        out: Tensor = self.function(tokens, coords)
        return out.transpose(1, 2)

    def forward(self, images: Tensor, t: Tensor, coords: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """f at the pixels of these numbers, which lie at ``coords``, and the signal itself, both (B, C, P)."""
        signal = self.render(images, t, coords)
        c_skip = (self.width**2 / (t**2 + self.width**2))[:, None, None]
        return c_skip * images.flatten(2)[:, :, pixels] + (1 - c_skip) * signal, signal

    def loss(self, batch: Batch, draws: Draws, objective: Inrct, progress: float) -> Tensor:
        """INRCT's loss, with the numbers that inrkit's objective draws, drawn in the same order."""
        images, coords, pixels = batch.support.values, coords_of(batch), pixels_of(batch)
        clean = clean_rows(draws.rows, objective.clean_share)
        t = torch.exp(objective.p_mean + objective.p_std * draws.normal())
        r = objective.curriculum.r(t, progress).masked_fill(clean, 0)
        t_in, noise = t.masked_fill(clean, 0), draws.normal(*images.shape[1:])

        output, signal = self(noisy(images, t_in, noise), t_in, coords, pixels)
        with torch.no_grad():
            teacher, _ = self(noisy(images, r, noise), r, coords, pixels)
        truth = images.flatten(2)[:, :, pixels]
        target = torch.where((r > 0)[:, None, None], teacher, truth)

        weight = WEIGHTINGS[objective.weight_gene](t, r, self.sigma_data)
        gene = DISTANCES[objective.distance](output, target) * weight * ~clean
        near_zero = clean | (t < objective.t_recon)
        weight = torch.where(clean, 1.0, WEIGHTINGS[objective.weight_recon](t, r, self.sigma_data))
        recon = DISTANCES[objective.distance](signal, truth) * weight * near_zero
        return objective.lambda_gene * gene.mean() + objective.lambda_recon * recon.mean()


def noisy(images: Tensor, t: Tensor, noise: Tensor) -> Tensor:
    return images + t[:, None, None, None] * noise


def coords_of(batch: Batch) -> Tensor:
    """The coordinates of the query's pixels, worked out and kept for each row, (B, P, 2)."""
    where = batch.query.where
    coords: Tensor = where.coords(0, where.count)
    return coords.expand(len(batch), -1, -1).contiguous()


def pixels_of(batch: Batch) -> Tensor:
    """The numbers of the query's pixels, (P,)."""
    where = batch.query.where
    return torch.arange(where.count) if where.index is None else where.index


@torch.no_grad()
def move_average(average: Iterable[Tensor], weights: Iterable[Tensor], beta: float) -> None:
    """average ← β average + (1 - β) weights, one tensor after the other."""
    for kept, weight in zip(average, weights, strict=True):
        kept.mul_(beta).add_(weight, alpha=1 - beta)
