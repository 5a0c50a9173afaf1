"""Random numbers that are a pure function of a seed: the same for any batch and on any device."""

import typing

import torch
from torch import Tensor

_GOLDEN = -0x61C8864680B583EB  # 2^64 divided by the golden ratio, as a signed number


@typing.final
class Dice:
    """Numbers that depend on nothing but seeds (...) and on how many were drawn: SplitMix64 (Steele et al., 2014)."""

    def __init__(self, seeds: Tensor):
        self._state = mix(seeds)

    def uniform(self, low: float | Tensor = 0.0, high: float | Tensor = 1.0) -> Tensor:
        """(...) float32 in [low, high); the same bits on every device."""
        self._state = self._state + _GOLDEN
        unit = ((mix(self._state) >> 40) & 0xFFFFFF).float() / 0x1000000
        return low + (high - low) * unit

    def chance(self, odds: float | Tensor) -> Tensor:
        """(...) bool."""
        return self.uniform() < odds

    def index(self, odds: tuple[float, ...]) -> Tensor:
        """(...) int64, with odds that sum to 1."""
        bounds = torch.tensor(odds, dtype=torch.float64).cumsum(0)[:-1].float().to(self._state.device)
        return (self.uniform()[..., None] >= bounds).sum(-1)

    def colour(self, palette: tuple[str, ...], vary: float = 0.04) -> Tensor:
        """(..., 3): one of the palette's colours, a little lighter or darker."""
        odds = (1 / len(palette),) * len(palette)
        codes = torch.tensor([list(bytes.fromhex(code)) for code in palette], device=self._state.device) / 255
        return (codes[self.index(odds)] + self.uniform(-vary, vary)[..., None]).clamp(0, 1)


def mix(z: Tensor) -> Tensor:
    """SplitMix64's hash of int64 numbers."""
    z = (z ^ ((z >> 30) & ((1 << 34) - 1))) * -0x40A7B892E31B1A47
    z = (z ^ ((z >> 27) & ((1 << 37) - 1))) * -0x6B2FB644ECCEEE15
    return z ^ ((z >> 31) & ((1 << 33) - 1))
