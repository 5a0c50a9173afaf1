"""Discrete noise levels, which become more as training goes on, and which neighbouring levels are compared.

References: EDM (arXiv:2206.00364), Consistency Models (arXiv:2303.01469), iCT (arXiv:2310.14189).

    σ_i = (σ_max^(1/ρ) + i/(N-1) (σ_min^(1/ρ) - σ_max^(1/ρ)))^ρ,  i = 0 ... N-1,

from σ_max down to σ_min (Karras et al. 2022; the index is that of Song's code, iCT counts the other way). Numbers of
levels are functions of ``progress``, the share of the training that is done.
"""

import math

import torch
from torch import Tensor

from inrkit.core.draws import Draws


def karras_levels(count: int, sigma_min: float = 0.002, sigma_max: float = 80.0, rho: float = 7.0) -> Tensor:
    """The levels σ_0 = σ_max ... σ_(N-1) = σ_min, (N,), in double precision."""
    share = torch.linspace(0, 1, count, dtype=torch.float64)
    top, bottom = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    levels: Tensor = (top + share * (bottom - top)) ** rho
    levels[0], levels[-1] = sigma_max, sigma_min  # exactly, whatever the powers round to
    return levels


def square_root_count(progress: float, s0: int, s1: int) -> int:
    """Song 2023: N(k) = ceil(sqrt(k/K ((s1 + 1)² - s0²) + s0²) - 1) + 1."""
    root = math.sqrt(progress * ((s1 + 1) ** 2 - s0**2) + s0**2)
    return max(math.ceil(root - 1), 1) + 1


def doubling_count(progress: float, s0: int, s1: int) -> int:
    """iCT: N(k) = min(s0 2^floor(k/K'), s1) + 1 with K' = K / (log2 floor(s1/s0) + 1)."""
    return int(min(s0 * 2 ** math.floor(progress * (math.log2(s1 // s0) + 1)), s1)) + 1


def uniform_pairs(levels: Tensor, draws: Draws, skip: int = 1) -> tuple[Tensor, Tensor]:
    """t = σ_i and r = σ_(i + skip), with i uniform among all that have such a neighbour, (B,) each."""
    count = len(levels) - skip
    index = (draws.on_host.uniform() * count).long().clamp_max(count - 1)
    return _chosen(levels, index, skip)


def lognormal_pairs(levels: Tensor, draws: Draws, mean: float, std: float) -> tuple[Tensor, Tensor]:
    """Neighbours t = σ_i > r = σ_(i+1), as often as a log-normal level lies between them (iCT)."""
    chances, uniform = lognormal_chances(levels, mean, std).cpu(), draws.on_host.uniform()
    index = torch.searchsorted(chances.cumsum(0), uniform.double(), right=True)
    return _chosen(levels, index.clamp_max(len(chances) - 1), 1)


def lognormal_chances(levels: Tensor, mean: float, std: float) -> Tensor:
    """How often each pair of neighbours is drawn, (N-1,): erf differences of (ln σ - mean) / (sqrt2 std), sum 1."""
    edges = torch.erf((levels.log() - mean) / (math.sqrt(2) * std))
    mass = edges[:-1] - edges[1:]
    return mass / mass.sum()


def _chosen(levels: Tensor, index: Tensor, skip: int) -> tuple[Tensor, Tensor]:
    levels = levels.float().to(index.device)
    return levels[index], levels[index + skip]
