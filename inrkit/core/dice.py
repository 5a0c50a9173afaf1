"""Random numbers that are a pure function of seeds: the same bits for any batch and on any device.

What an embedded data set is drawn with, so that a signal is known by its number alone. Where numbers need only be the
same for any split of a batch, as in training, `inrkit.Draws` is faster.
"""

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

_GOLDEN = -0x61C8864680B583EB  # 2^64 divided by the golden ratio, as a signed number
_AHEAD = 64  # numbers drawn at once, at most


@final
class Dice:
    """Numbers that depend on nothing but seeds and on how many were drawn: SplitMix64 (Steele et al., 2014).

    Args:
        seeds: int64 of any shape; each has numbers of its own.
        parts: More of them, broadcast with the seeds, such as the numbers of an object's views.
    """

    def __init__(self, seeds: Tensor, *parts: Tensor) -> None:
        self._state = _mix(seeds)
        for part in parts:
            self._state = _mix(self._state + part)
        self._thrown: list[Tensor] = []
        self._ahead = 1

    def uniform(self, low: float | Tensor = 0.0, high: float | Tensor = 1.0) -> Tensor:
        """float32 in [low, high), of the seeds' shape."""
        if not self._thrown:
            self._thrown = self._throw(self._ahead)
            self._ahead = min(2 * self._ahead, _AHEAD)
        return low + (high - low) * self._thrown.pop()

    def _throw(self, count: int) -> list[Tensor]:
        """The next numbers in [0, 1), last first: all at once costs hardly more than one of them."""
        turns = torch.arange(1, count + 1, device=self._state.device) * _GOLDEN
        states = self._state + turns.reshape(-1, *[1] * self._state.ndim)
        self._state = states[-1]
        return list((((_mix(states) >> 40) & 0xFFFFFF).float() / 0x1000000).flip(0).unbind())

    def chance(self, odds: float | Tensor) -> Tensor:
        """True with these odds."""
        return self.uniform() < odds

    def index(self, odds: Sequence[float] | int) -> Tensor:
        """int64 with the given odds, which sum to 1; or below the given number with equal odds."""
        weights = (1 / odds,) * odds if isinstance(odds, int) else odds
        bounds = torch.tensor(weights, dtype=torch.float64).cumsum(0)[:-1].float().to(self._state.device)
        return (self.uniform()[..., None] >= bounds).sum(-1)

    def colour(self, palette: Sequence[str], vary: float) -> Tensor:
        """(..., 3) in [0, 1]: one of the palette's colours ("ffdfc4"), lighter or darker by up to ``vary``."""
        codes = torch.tensor([list(bytes.fromhex(code)) for code in palette], device=self._state.device) / 255
        return (codes[self.index(len(palette))] + self.uniform(-vary, vary)[..., None]).clamp(0, 1)


def _mix(z: Tensor) -> Tensor:
    z = (z ^ ((z >> 30) & ((1 << 34) - 1))) * -0x40A7B892E31B1A47
    z = (z ^ ((z >> 27) & ((1 << 37) - 1))) * -0x6B2FB644ECCEEE15
    return z ^ ((z >> 31) & ((1 << 33) - 1))
