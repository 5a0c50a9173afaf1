"""Muon: updates of matrices that are orthogonalised by polynomials of them, in the number format of the run.

    B ← μ B + (1 - μ) G,   U = (1 - μ) G + μ B,   W ← W - .2 sqrt(max(m, n)) lr UVᵀ,  U Σ Vᵀ = U

K. Jordan et al. 2024 (https://kellerjordan.github.io/posts/muon); the scale is that of arXiv 2502.16982, so that the
learning rates of AdamW carry over. `torch.optim.Muon` computes in bf16 whatever the machine, one matrix after the
other: on a processor without bf16 instructions that takes ten times as long as the rest of a step. Here matrices of
equal shape are one batched product, in bf16 only where the run computes in it.

UVᵀ comes from two polynomials X ← (a I + b A + c A²) X, A = X Xᵀ, instead of the usual five: each is the best one for
where the singular values are by then (arXiv 2505.16932), and A², which is needed anyway, bounds the largest of them so
well that no iteration is spent on raising them all.
"""

import math
from collections.abc import Iterable
from typing import Any, final

import torch
from torch import Tensor

from inrkit.core.shard import is_sharded, part_of
from inrkit.machine.processes import Ranks
from inrkit.machine.sharding import divided

_MOMENTUM = 0.95
# Of all pairs of polynomials of degree 5, one after the other, the nearest to 1 between .05 and 1.
_FIRST, _SECOND = (6.7524, -18.3512, 13.2635), (2.5379, -1.8747, 0.4413)
_MARGIN = 1.01  # for rounding: beyond the bound the first polynomial rises steeply
# From this ratio of width to height on, working with Gram matrices alone takes fewer operations: 2 n m² ρ + 10 m³
# against (8 ρ + 4) m³. Products of several Gram matrices need fp32.
_GRAM_FROM = 2


@final
class Muon(torch.optim.Optimizer):
    """Muon for 2-D weights.

    Args:
        params: Matrices, (m, n) each; sharded ones too.
        lr, weight_decay: As AdamW's; the decay is decoupled.
        dtype: Of the products.
        ranks: The processes, each of which works on its share of the matrices.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float,
        weight_decay: float,
        dtype: torch.dtype = torch.float32,
        ranks: Ranks | None = None,
    ) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})
        self.dtype, self.ranks = dtype, Ranks() if ranks is None else ranks

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # no closure is ever evaluated here
        """Moves every matrix that has a gradient."""
        for group in self.param_groups:
            moved = [p for p in group["params"] if p.grad is not None]
            weights, gradients = [part_of(p) for p in moved], [part_of(p.grad) for p in moved]
            if not moved:
                continue
            for p, weight in zip(moved, weights, strict=True):
                if not self.state[p]:
                    self.state[p]["momentum_buffer"] = torch.zeros_like(weight)
            averages = [self.state[p]["momentum_buffer"] for p in moved]
            torch._foreach_lerp_(averages, gradients, 1 - _MOMENTUM)
            updates = torch._foreach_lerp(gradients, averages, _MOMENTUM)
            if group["weight_decay"]:
                torch._foreach_mul_(weights, 1 - group["lr"] * group["weight_decay"])
            for rows in _of_equal_shape(moved):
                matrices, one = torch.stack([updates[i] for i in rows]), moved[rows[0]]
                scale = 0.2 * math.sqrt(max(one.shape))
                orthogonal = divided(self.ranks, matrices, len(one), self._work, sharded=is_sharded(one))
                torch._foreach_add_([weights[i] for i in rows], list(orthogonal.unbind()), alpha=-group["lr"] * scale)

    def _work(self, matrices: Tensor) -> Tensor:
        return orthogonalised(matrices, self.dtype).to(matrices.dtype)


def _of_equal_shape(matrices: list[Tensor]) -> list[list[int]]:
    shapes: dict[tuple[int, ...], list[int]] = {}
    for i, matrix in enumerate(matrices):
        shapes.setdefault(tuple(matrix.shape), []).append(i)
    return list(shapes.values())


def orthogonalised(matrices: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Matrices (B, m, n) with the same singular vectors, and singular values between .78 and 1.22.

    Smaller ones than a twentieth of the largest, a tenth where many are large, become 17 times as large in proportion.
    """
    x = matrices.to(dtype)
    high = x.shape[1] > x.shape[2]
    gram = _gram(x, high)
    trace = gram.diagonal(dim1=1, dim2=2).sum(1)[:, None, None].clamp_min(1e-30)
    gram = gram / trace
    square = gram @ gram
    # At least the largest eigenvalue of the Gram matrix, for ||A²|| is the root of the sum of their fourth powers.
    largest = square.norm(dim=(1, 2), keepdim=True).sqrt().clamp_min(1e-7) * _MARGIN
    a, b, c = _FIRST
    factor = torch.addcmul(square * (c / largest.square()), gram, b / largest)
    factor.diagonal(dim1=1, dim2=2).add_(a)
    scale = (trace * largest).rsqrt()
    a, b, c = _SECOND
    if max(x.shape[1:]) >= _GRAM_FROM * min(x.shape[1:]) and dtype == torch.float32:
        gram = factor @ (gram / largest) @ factor
        second = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        second.diagonal(dim1=1, dim2=2).add_(a)
        factor = second @ factor * scale
        return torch.bmm(x, factor) if high else torch.bmm(factor, x)
    factor *= scale
    x = x @ factor if high else factor @ x
    gram = _gram(x, high)
    factor = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
    return torch.baddbmm(x, *((x, factor) if high else (factor, x)), beta=a)


def _gram(x: Tensor, high: bool) -> Tensor:
    """The products of all pairs of rows or, of high matrices, of columns."""
    return x.mT @ x if high else x @ x.mT
