"""Muon: updates of matrices that are orthogonalised by Newton-Schulz iterations, in the number format of the run.

    B ← μ B + (1 - μ) G,   U = (1 - μ) G + μ B,   W ← W - .2 sqrt(max(m, n)) lr NS(U)

K. Jordan et al. 2024 (https://kellerjordan.github.io/posts/muon); the scale is that of arXiv 2502.16982, so that the
learning rates of AdamW carry over. `torch.optim.Muon` computes in bf16 whatever the machine, one matrix after the
other: on a processor without bf16 instructions that takes ten times as long as the rest of a step. Here matrices of
equal shape are one batched product, in bf16 only where the run computes in it.
"""

import math
from collections.abc import Iterable
from typing import Any, final

import torch
from torch import Tensor

from inrkit.core.shard import is_sharded, part_of
from inrkit.machine.processes import Ranks
from inrkit.machine.sharding import divided

_A, _B, _C = 3.4445, -4.775, 2.0315
_MOMENTUM = 0.95
# Four iterations instead of the usual five: a fifth less work, and the same curves.
_ITERATIONS = 4
# From this ratio of width to height on, iterating on the Gram matrix alone takes fewer operations: 2 n m² ρ + 8 m³ an
# iteration against (4 ρ + 2) m³. Its squares need fp32.
_GRAM_FROM = 2


@final
class Muon(torch.optim.Optimizer):
    """Muon for 2-D weights.

    Args:
        params: Matrices, (m, n) each; sharded ones too.
        lr, weight_decay: As AdamW's; the decay is decoupled.
        dtype: Of the iterations.
        ranks: The processes, each of which iterates on its share of the matrices.
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
    """Matrices (B, m, n) with the same singular vectors, and singular values near 1 (between .7 and 1.2, but for the
    smallest)."""
    x = matrices.to(dtype)
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp_min(1e-7)
    high = x.shape[1] > x.shape[2]
    x = x.mT if high else x
    wide = x.shape[2] >= _GRAM_FROM * x.shape[1] and dtype == torch.float32
    x = _by_gram(x) if wide else _by_matrix(x)
    return x.mT if high else x


def _by_matrix(x: Tensor) -> Tensor:
    """X ← a X + (b A + c A²) X with A = X Xᵀ."""
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=_B, alpha=_C), x, beta=_A)
    return x


def _by_gram(x: Tensor) -> Tensor:
    """The same: P = a I + b A + c A² is a polynomial of the first A, so that X ends as the product of all P times X."""
    gram = x @ x.mT
    product = torch.eye(x.shape[1], dtype=x.dtype, device=x.device).expand_as(gram)
    for i in range(_ITERATIONS):
        factor = torch.baddbmm(gram, gram, gram, beta=_B, alpha=_C)
        factor.diagonal(dim1=1, dim2=2).add_(_A)
        product = factor @ product if i else factor
        if i < _ITERATIONS - 1:
            gram = factor @ gram @ factor
    return product @ x
