"""Random numbers that do not depend on how a batch is split.

Every row of the global batch gets the same numbers whether one process draws for all rows, two processes draw for a
half each, or a process draws for one micro-batch at a time. Without this, a run could not go on with another number
of processes, nor be resumed exactly.
"""

import functools
import hashlib
from typing import final

import torch
from torch import Tensor


def seed_of(*parts: int | str) -> int:
    """A 63-bit seed that depends on all parts: ``seed_of(run_seed, "train", step)``."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


@final
class Draws:
    """A stream of random numbers for rows ``start:stop`` of a batch of ``total`` rows.

    Args:
        seed: The state of the stream; equal seeds give equal numbers.
        total: Rows of the global batch.
        start, stop: The rows this process holds; all of them by default.
        chosen: Which of them, by their numbers among them; all of them by default.
        device: Where the numbers are needed. They are drawn there, so devices of different kinds differ.
    """

    def __init__(
        self,
        seed: int,
        total: int,
        *,
        start: int = 0,
        stop: int | None = None,
        chosen: Tensor | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.seed, self.total, self.start = seed, total, start
        self.stop = total if stop is None else stop
        self.device, self._chosen = torch.device(device), chosen
        self._generator = torch.Generator(device=self.device).manual_seed(seed)

    def __len__(self) -> int:
        return self.stop - self.start if self._chosen is None else len(self._chosen)

    @property
    def rows(self) -> Tensor:
        """The global numbers of our rows, (B,)."""
        return self._ours(torch.arange(self.total, device=self.device))

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers, (B, *shape)."""
        drawn = torch.randn(self.total, *shape, generator=self._generator, device=self.device)
        return self._ours(drawn)

    def uniform(self, *shape: int) -> Tensor:
        """Uniform numbers in [0, 1), (B, *shape)."""
        drawn = torch.rand(self.total, *shape, generator=self._generator, device=self.device)
        return self._ours(drawn)

    def shared_normal(self, *shape: int) -> Tensor:
        """Standard normal numbers that all rows share, (*shape)."""
        return torch.randn(*shape, generator=self._generator, device=self.device)

    def shared_choice(self, count: int, total: int) -> Tensor:
        """``count`` different numbers below ``total``, ascending, that all rows share, (count,)."""
        chosen = torch.randperm(total, generator=self._generator, device=self.device)[:count]
        return chosen.sort().values

    @functools.cached_property
    def on_host(self) -> "Draws":
        """Where numbers are drawn that decide how much is computed, such as noise levels: nobody waits for a device.

        On a CPU that is this stream; elsewhere another one of the same seed.
        """
        return self if self.device.type == "cpu" else self._stream(self.seed, torch.device("cpu"), self._chosen)

    def fork(self, name: str) -> "Draws":
        """An independent stream for the same rows."""
        return self._stream(seed_of(self.seed, name), self.device, self._chosen)

    def part(self, index: Tensor) -> "Draws":
        """This stream from its beginning, for these of our rows, by their numbers among ours."""
        return self._stream(self.seed, self.device, index if self._chosen is None else self._chosen[index])

    def _stream(self, seed: int, device: torch.device, chosen: Tensor | None) -> "Draws":
        return Draws(seed, self.total, start=self.start, stop=self.stop, chosen=chosen, device=device)

    def _ours(self, drawn: Tensor) -> Tensor:
        held = drawn[self.start : self.stop]
        return held if self._chosen is None else held[self._chosen.to(held.device)]
