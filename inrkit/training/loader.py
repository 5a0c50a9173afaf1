"""Reads the signals of each step, in this process or ahead of time in others, and brings them to the device."""

import contextlib
import itertools
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, final

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from inrkit.core.modality import Signals, Source
from inrkit.core.send import send
from inrkit.errors import InrkitError
from inrkit.training.order import Order, Rows


def read_ahead(
    source: Source,
    order: Order,
    rows: Callable[[int], Rows],
    steps: Iterable[int],
    workers: int,
    device: torch.device,
    resident: int = 0,
) -> "Ahead":
    """The signals of each of our micro-batches in these steps, on the device.

    Args:
        rows: Of a step.
        workers: Processes that read ahead; 0 reads here, when asked.
        resident: Bytes that all signals may take up for those that were read to stay on the device; not on a CPU.
    """
    numbers = (order.numbers(step, *part) for step in steps for part in rows(step))
    if device.type == "cpu" or resident == 0:
        read = _read(source, numbers, workers, device)
        return Ahead({name: send(value, device) for name, value in signals.items()} for signals in read)
    return Ahead(kept_signals(source, numbers, workers, device, resident))


@final
class Ahead(Iterator[Signals]):
    """Signals one after the other; the next ones can be read while the device is still busy."""

    def __init__(self, signals: Iterator[Signals]) -> None:
        self._signals = signals
        self._next: Signals | InrkitError | None = None

    def fetch(self) -> None:
        """Reads the next ones now. What goes wrong is raised when they are asked for."""
        if self._next is None:
            try:
                self._next = next(self._signals, None)
            except InrkitError as error:
                self._next = error

    def __next__(self) -> Signals:
        found, self._next = self._next, None
        if isinstance(found, InrkitError):
            raise found
        return next(self._signals) if found is None else found


def kept_signals(
    source: Source, numbers: Iterator[list[int]], workers: int, device: torch.device, resident: int
) -> Iterator[Signals]:
    """The same from signals that stay on the device, where all of them fit; only new ones are read."""
    first = next(numbers)
    fits = len(source) * sum(value.nbytes for value in source.read(first[:1]).values()) <= resident
    kept, known, asked = _Kept(len(source), device), set[int](), deque[tuple[list[int], list[int]]]()

    def new() -> Iterator[list[int]]:
        for wanted in itertools.chain((first,), numbers):
            missing = [number for number in dict.fromkeys(wanted) if number not in known] if fits else wanted
            known.update(missing)
            asked.append((wanted, missing))
            yield missing

    for signals in _read(source, new(), workers, device):
        wanted, missing = asked.popleft()
        sent = {name: send(value, device) for name, value in signals.items()}
        yield kept.gathered(wanted, missing, sent) if fits else sent


@final
class _Kept:
    """The signals of a source that were read so far, by number, on the device."""

    def __init__(self, count: int, device: torch.device) -> None:
        self._count, self._device = count, device
        self._signals: dict[str, Tensor] = {}

    def gathered(self, wanted: Sequence[int], new: Sequence[int], signals: Signals) -> Signals:
        """Those ``wanted``, after ``new`` ones were added."""
        if new:
            place = self._index(new)
            for name, value in signals.items():
                if name not in self._signals:
                    self._signals[name] = value.new_empty(self._count, *value.shape[1:])
                self._signals[name].index_copy_(0, place, value)
        if new == wanted:
            return signals
        place = self._index(wanted)
        return {name: values.index_select(0, place) for name, values in self._signals.items()}

    def _index(self, numbers: Sequence[int]) -> Tensor:
        return send(torch.tensor(numbers), self._device)


def _read(source: Source, numbers: Iterator[list[int]], workers: int, device: torch.device) -> Iterator[Signals]:
    """The signals with these numbers, list by list, on the host."""
    if workers == 0:
        for wanted in numbers:
            yield source.read(wanted) if wanted else {}
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
    with _lost_at_once():
        for signals in loader:
            if isinstance(signals, InrkitError):
                raise signals
            yield signals


@contextlib.contextmanager
def _lost_at_once() -> Iterator[None]:
    """A worker that is lost while it hands over signals is told as torch tells of one lost elsewhere, and only once."""
    try:
        yield
    except (EOFError, ConnectionError) as error:
        if hasattr(signal, "SIGCHLD") and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch's handler would raise once more, wherever we are then
        raise RuntimeError("DataLoader worker exited while it handed over signals") from error


@final
class _Reads(Dataset[Any]):
    """A source as torch's loader wants it: indexed with a whole list of numbers."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def __getitem__(self, numbers: Any) -> dict[str, Tensor] | InrkitError:
        try:
            return dict(self.source.read(numbers)) if numbers else {}
        except InrkitError as error:  # handed over as it is: torch would bury its one line in a traceback
            return error


def _calm(worker: int) -> None:
    """A worker ends with its trainer, which decides what Ctrl-C and SIGHUP mean."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if hasattr(signal, "SIGHUP"):  # Windows has none
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    sys.excepthook = _unless_lost


def _unless_lost(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Where another worker was lost, it is the trainer who says so."""
    if not isinstance(error, ConnectionError | EOFError):
        sys.__excepthook__(kind, error, trace)
