"""Reads the signals of each step, in this process or ahead of time in others."""

import signal
from collections.abc import Iterable, Iterator
from typing import Any, final

import torch
from torch.utils.data import DataLoader, Dataset

from inrkit.core.modality import Signals, Source
from inrkit.errors import InrkitError
from inrkit.training.order import Order, Rows


def read_ahead(
    source: Source, order: Order, rows: Rows, steps: Iterable[int], workers: int, device: torch.device
) -> Iterator[Signals]:
    """The signals of each of our micro-batches in these steps.

    Args:
        workers: Processes that read ahead; 0 reads here, when asked.
        device: Where the signals go; for a GPU they are put into pinned memory.
    """
    numbers = (order.numbers(step, *part) for step in steps for part in rows)
    if workers == 0:
        yield from map(source.read, numbers)
        return
    loader: DataLoader[Any] = DataLoader(
        _Reads(source),
        batch_size=None,
        sampler=numbers,  # whole lists of numbers
        num_workers=workers,
        prefetch_factor=4,
        pin_memory=device.type in ("cuda", "xpu"),
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
