"""Which signals a step learns from: a pure function of seed, step and batch size.

The numbers 0 .. count - 1 are shuffled anew for every epoch and laid end to end; step s takes the next
``batch_size`` of them. Nothing has to be remembered to go on, and ranks and micro-batches only divide what a step
takes.
"""

from collections.abc import Iterator
from typing import final

import attrs
import torch

from inrkit.core.draws import Draws, seed_of
from inrkit.errors import UsageError


@final
class Order:
    """The numbers of the signals of each step, of ``count`` in the data set; a step is that of all processes."""

    def __init__(self, count: int, batch_size: int, seed: int) -> None:
        if count < 1:
            raise UsageError("expected at least one training signal, found none")
        self.count, self.batch_size, self.seed = count, batch_size, seed
        self._epochs: dict[int, list[int]] = {}

    def numbers(self, step: int, start: int = 0, stop: int | None = None) -> list[int]:
        """Signals in rows ``start:stop`` of the batch of ``step``."""
        stop = self.batch_size if stop is None else stop
        first = step * self.batch_size
        return [self._at(position) for position in range(first + start, first + stop)]

    def _at(self, position: int) -> int:
        epoch, place = divmod(position, self.count)
        if epoch not in self._epochs:
            # A batch can straddle two epochs (more, if it is bigger than the data set): keep the last ones only.
            self._epochs = {e: p for e, p in self._epochs.items() if e >= epoch - 1}
            generator = torch.Generator().manual_seed(seed_of(self.seed, "order", epoch))
            self._epochs[epoch] = torch.randperm(self.count, generator=generator).tolist()
        return self._epochs[epoch][place]


@final
@attrs.frozen
class Rows:
    """How the rows of a global batch are divided: over ``world`` processes, and within each into micro-batches."""

    total: int
    rank: int = 0
    world: int = 1
    accumulate: int = 1

    def __attrs_post_init__(self) -> None:
        if self.total % (self.world * self.accumulate):
            raise UsageError(
                f"'batch_size' must be a multiple of processes times 'accumulate' (got {self.total}, "
                f"{self.world} and {self.accumulate}), so that every part weighs the same"
            )

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """(start, stop) of each of our micro-batches."""
        size = self.total // (self.world * self.accumulate)
        for part in range(self.rank * self.accumulate, (self.rank + 1) * self.accumulate):
            yield part * size, (part + 1) * size

    def draws(self, seed: int, part: tuple[int, int], device: torch.device) -> Draws:
        """Chance for one micro-batch: the same numbers that a single process would give these rows."""
        return Draws(seed, self.total, start=part[0], stop=part[1], device=device)
