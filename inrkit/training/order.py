"""Which signals a step learns from: a pure function of seed, step and batch sizes.

The numbers 0 .. count - 1 are shuffled anew for every epoch and laid end to end; step s takes the next batch of them.
Nothing has to be remembered to go on, and ranks and micro-batches only divide what a step takes.
"""

from collections.abc import Callable, Iterator
from typing import final

import attrs
import torch

from inrkit.core.draws import Draws, seed_of
from inrkit.errors import UsageError


@final
class Order:
    """The numbers of the signals of each step, of ``count`` in the data set; a step is that of all processes.

    Args:
        seen: From a step to how many signals come before it, where batches are not all of ``batch_size``.
    """

    def __init__(self, count: int, batch_size: int, seed: int, seen: Callable[[int], int] | None = None) -> None:
        if count < 1:
            raise UsageError("expected at least one training signal, found none")
        self.count, self.seed = count, seed
        self.seen = seen or (lambda step: step * batch_size)
        self._epochs: dict[int, list[int]] = {}

    def numbers(self, step: int, start: int = 0, stop: int | None = None) -> list[int]:
        """Signals in rows ``start:stop`` of the batch of ``step``."""
        first = self.seen(step)
        stop = self.seen(step + 1) - first if stop is None else stop
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
