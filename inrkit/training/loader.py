"""Reads the signals of each step, in this process or ahead of time in others."""

import signal
from collections.abc import Iterator
from typing import Any, final

import torch
from torch.utils.data import DataLoader, Dataset

from inrkit.core.modality import Signals, Source
from inrkit.errors import InrkitError
from inrkit.training.order import Order, Rows


@final
class Loader:
    """The micro-batches of this process, in order.

    Args:
        source: The data set; read by the workers when there are any.
        order: Which signals each step has.
        rows: Which of them are ours.
        workers: Processes that read ahead; 0 reads here, when asked.
        device: Where the signals go; for a GPU they are put into pinned memory.
    """

    def __init__(self, source: Source, order: Order, rows: Rows, workers: int, device: torch.device) -> None:
        self.source, self.order, self.rows, self.workers, self.device = source, order, rows, workers, device

    def batches(self, start: int, stop: int) -> Iterator[Signals]:
        """The signals of each micro-batch from step ``start`` to before ``stop``."""
        numbers = (self.order.numbers(step, *part) for step in range(start, stop) for part in self.rows)
        if self.workers == 0:
            yield from (self.source.read(wanted) for wanted in numbers)
            return
        loader: DataLoader[Any] = DataLoader(
            _Reads(self.source),
            batch_size=None,
            sampler=numbers,  # whole lists of numbers
            num_workers=self.workers,
            prefetch_factor=4,
            pin_memory=self.device.type in ("cuda", "xpu"),
            worker_init_fn=_calm,
            generator=torch.Generator().manual_seed(0),  # else the loader would draw from the global one
        )
        for signals in loader:
            if isinstance(signals, InrkitError):
                raise signals
            yield signals


@final
class _Reads(Dataset[Any]):
    """A source as torch's loader wants it: indexed with a whole list of numbers."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def __getitem__(self, numbers: Any) -> dict[str, torch.Tensor] | InrkitError:
        try:
            return dict(self.source.read(numbers))
        except InrkitError as error:  # handed over as it is: torch would bury its one line in a traceback
            return error


def _calm(worker: int) -> None:
    """A worker ends with its trainer, which decides what Ctrl-C and SIGHUP mean."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if hasattr(signal, "SIGHUP"):  # Windows has none
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
