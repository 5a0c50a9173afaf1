"""Random numbers that are a pure function of a seed: the same for any batch and on any device."""

import math

import torch
from torch import Tensor

_GOLDEN = -0x61C8864680B583EB  # 2^64 divided by the golden ratio, as a signed number


class Dice:
    """Numbers that depend on nothing but a seed and on how many were drawn before: SplitMix64 (Steele et al., 2014)."""

    def __init__(self, seeds: Tensor):
        self._state = _mix(seeds)

    def uniform(self, low: float = 0.0, high: float = 1.0) -> Tensor:
        """(B,) float32 in [low, high); the same bits on every device."""
        self._state = self._state + _GOLDEN
        unit = ((_mix(self._state) >> 40) & 0xFFFFFF).float() / 0x1000000
        return low + (high - low) * unit

    def chance(self, odds: float) -> Tensor:
        """(B,) bool."""
        return self.uniform() < odds

    def index(self, odds: tuple[float, ...] | int) -> Tensor:
        """(B,) int64 with the given odds, or below the given number with equal odds."""
        weights = (1 / odds,) * odds if isinstance(odds, int) else odds
        u = self.uniform()
        bounds = torch.tensor(weights, dtype=torch.float64).cumsum(0)[:-1].float().to(u.device)
        return (u[:, None] >= bounds).sum(1)

    def colour(self, palette: tuple[str, ...], vary: float = 0.03) -> Tensor:
        """(B, 3): one of the palette's colours, a little lighter or darker."""
        return (rgb(palette, self._state.device)[self.index(len(palette))] + self.uniform(-vary, vary)[:, None]).clamp(
            0, 1
        )

    def hue(self, light: tuple[float, float], colourful: tuple[float, float], hue: Tensor | None = None) -> Tensor:
        """(B, 3): the given hue (B,), where 1 is a full turn, or any; light and colourful within bounds."""
        thirds = torch.arange(3, device=self._state.device) / 3
        wave = torch.cos(2 * math.pi * ((self.uniform() if hue is None else hue)[:, None] + thirds))
        return (self.uniform(*light)[:, None] + self.uniform(*colourful)[:, None] * wave).clamp(0, 1)


def _mix(z: Tensor) -> Tensor:
    z = (z ^ ((z >> 30) & ((1 << 34) - 1))) * -0x40A7B892E31B1A47
    z = (z ^ ((z >> 27) & ((1 << 37) - 1))) * -0x6B2FB644ECCEEE15
    return z ^ ((z >> 31) & ((1 << 33) - 1))


def rgb(palette: tuple[str, ...], device: torch.device) -> Tensor:
    return torch.tensor([list(bytes.fromhex(code)) for code in palette], device=device) / 255
