"""Reading of a store in batches, of the rate at which the same bytes come out of the same file by plain reads.

    python benchmarks/loading.py [--size 64] [--megabytes 512] [--batch 64] [--workers 0 2] [--rounds 3] [--json]

A store of random images (size x size x 3) is written and read back from memory (the system's cache of files): the
slowest that the file can be is what this leaves out. In turns, in the order of the file and at random:

    read()      one plain read for each run of neighbours, into one buffer for each batch; the others are compared to it
    h5py        the file as any HDF5 program reads it, by sorted numbers; some batches of it
    store       `inrkit.Store.read`
    0 workers   what training asks for: `read_ahead` in this process
    2 workers   the same in two others
"""

import functools
import itertools
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import h5py
import numpy as np
import torch
from measure import in_turns, options, report

from inrkit import Store, StoreWriter
from inrkit.gridded.source import StoredGrids
from inrkit.storage.storefile import contents
from inrkit.training.loader import read_ahead
from inrkit.training.order import Order, Rows

SLOW = 32  # h5py reads one of so many batches, for it takes its time


def written(path: Path, size: int, megabytes: int) -> int:
    """A store of so many megabytes; the number of its images."""
    chance = np.random.default_rng(0)
    piece = chance.integers(0, 256, (max(1, (4 << 20) // (3 * size**2)), size, size, 3), dtype=np.uint8)
    with StoreWriter(path, "image") as out:
        while len(out) * 3 * size**2 < megabytes << 20:
            out.append({"images": piece, "split": np.zeros(len(piece), np.uint8)})
        out.attributes["title"] = "noise"
    return len(out)


def plain(path: Path, batches: list[np.ndarray]) -> None:
    """The same bytes, by nothing but the system."""
    layout = contents(path)[2]["images"]
    size = layout.item_bytes
    file = os.open(path, os.O_RDONLY)
    last = None
    for batch in batches:
        target = memoryview(np.empty((len(batch), size), np.uint8).reshape(-1).data)
        offsets = layout.offsets(batch)
        cuts = [0, *(np.flatnonzero(np.diff(offsets) != size) + 1).tolist(), len(batch)]
        for low, high in itertools.pairwise(cuts):
            os.preadv(file, [target[low * size : high * size]], int(offsets[low]))
        last = target  # as whoever learns from a batch has it while the next one is read
    del last
    os.close(file)


def by_h5py(path: Path, batches: list[np.ndarray]) -> None:
    with h5py.File(path, "r") as file:
        for batch in batches:
            if batch[-1] - batch[0] == len(batch) - 1:
                file["images"][batch[0] : batch[-1] + 1]
            else:
                file["images"][np.sort(batch)]


def by_store(store: Store, batches: list[np.ndarray]) -> None:
    last = None
    for batch in batches:
        last = store.read("images", batch)
    del last


class Listed:
    """Batches that are given, over and over."""

    def __init__(self, batches: list[np.ndarray]) -> None:
        self.batches = [batch.tolist() for batch in batches]

    def numbers(self, step: int, start: int, stop: int) -> list[int]:
        return list(self.batches[step % len(self.batches)][start:stop])


def take(signals: Iterator[Any], count: int) -> None:
    for _ in itertools.islice(signals, count):
        pass


def runs_of(path: Path, batches: list[np.ndarray], workers: list[int]) -> dict[str, Callable[[], None]]:
    """Workers are started once, and go on reading at every turn."""
    source = StoredGrids(path, "image", 2, "train", "images", channels_last=True, held_out=0)
    found: dict[str, Callable[[], None]] = {
        "read()": functools.partial(plain, path, batches),
        "h5py": functools.partial(by_h5py, path, batches[::SLOW]),
        "store": functools.partial(by_store, Store(path), batches),
    }
    rows, order = Rows(len(batches[0])), cast("Order", Listed(batches))
    for count in workers:
        signals = read_ahead(source, order, lambda _: rows, itertools.count(), count, torch.device("cpu"))
        found[f"{count} workers"] = functools.partial(take, signals, len(batches))
    return found


def main(arguments: list[str] | None = None) -> None:
    parser = options(__doc__, rounds=3)
    parser.add_argument("--size", type=int, default=64, help="of the images [%(default)s]")
    parser.add_argument("--megabytes", type=int, default=512, help="of the store [%(default)s]")
    parser.add_argument("--batch", type=int, default=64, help="images in a batch [%(default)s]")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2], help="processes that read [%(default)s]")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "noise.h5"
        count = written(path, chosen.size, chosen.megabytes)
        number = count // chosen.batch
        orders = {"in order": np.arange(count), "random": np.random.default_rng(0).permutation(count)}
        for how, numbers in orders.items():
            batches = list(numbers[: number * chosen.batch].reshape(number, chosen.batch))
            runs = runs_of(path, batches, chosen.workers)
            seconds, rates = in_turns(runs, chosen.rounds), dict[str, float]()
            for what, taken in seconds.items():
                read = len(batches[::SLOW] if what == "h5py" else batches) * chosen.batch * 3 * chosen.size**2
                rate = rates[what] = read / taken
                rows.append({"order": how, "what": what, "of read()": rate / rates["read()"], "GB/s": rate / 1e9})
    facts = {"images": count, "size": chosen.size, "batch": chosen.batch, "megabytes": chosen.megabytes}
    report("loading", rows, facts, as_json=chosen.json)


if __name__ == "__main__":
    main()
