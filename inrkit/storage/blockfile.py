"""A new file that HDF5 writes to, in blocks that are hashed as they go to the disk."""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, final

from inrkit.progress import Progress, quiet
from inrkit.storage import atomic, fileerror

SIZE = 1 << 20
"""Bytes of a block."""

_KEPT = 8  # blocks that are in memory before they are written
_AT_ONCE = 16  # blocks that are hashed together


@final
class BlockFile:
    """What HDF5 sees as a file: the bytes of a `NewFile` from ``start`` on.

    HDF5 does not survive a disk that fills up, nor an interrupt while it writes. So it is never told: the first error
    is kept for `check` to raise, and what is written after it goes nowhere.
    """

    def __init__(self, file: atomic.NewFile, start: int) -> None:
        self._file, self._start = file, start
        self._place = self.size = 0
        self._blocks: OrderedDict[int, bytearray] = OrderedDict()
        self._digests: dict[int, bytes] = {}
        self._error: BaseException | None = None
        self.ended = False
        """Whether nothing more is to be written."""

    def check(self) -> None:
        """Raise what went wrong while HDF5 was writing."""
        if self._error is not None:
            raise self._error

    def finish(self) -> str:
        """Write what is left; the hash of all, as `hash_of` has it."""
        self.check()
        count = -(-self.size // SIZE)
        for number in range(count):
            if number not in self._digests:
                self._block(number)
        while self._blocks:
            self._evict()
        last = self._file.read(self.size - (count - 1) * SIZE, self._start + (count - 1) * SIZE)
        self._digests[count - 1] = hashlib.sha256(last).digest()
        return atomic.sha256(*(self._digests[number] for number in range(count)))

    def seek(self, offset: int, whence: int = 0) -> int:
        self._place = offset + (0, self._place, self.size)[whence]
        return self._place

    def tell(self) -> int:
        return self._place

    def write(self, data: Any) -> int:
        done = self._copy(memoryview(data).cast("B"), writing=True)
        self.size = max(self.size, self._place)
        return done

    def read(self, count: int) -> bytes:
        buffer = bytearray(count)
        self.readinto(buffer)
        return bytes(buffer)

    def readinto(self, buffer: Any) -> int:
        return self._copy(memoryview(buffer).cast("B"), writing=False)

    def truncate(self, size: int | None = None) -> int:
        self.size = self._place if size is None else size
        return self.size

    def flush(self) -> None:
        return None

    def _copy(self, view: memoryview, *, writing: bool) -> int:
        """To or from the blocks at the present place, which moves on; the first error is kept."""
        done = 0
        try:
            while done < view.nbytes and self._error is None and not self.ended:
                number, inside = divmod(self._place + done, SIZE)
                count = min(view.nbytes - done, SIZE - inside)
                block, ours = slice(inside, inside + count), slice(done, done + count)
                if writing:
                    self._block(number)[block] = view[ours]
                else:
                    view[ours] = self._block(number)[block]
                done += count
        except BaseException as error:
            self._error = error
        self._place += view.nbytes
        return view.nbytes

    def _block(self, number: int) -> bytearray:
        if number not in self._blocks:
            while len(self._blocks) >= _KEPT:
                self._evict()
            written = self._file.read(SIZE, self._start + number * SIZE) if number in self._digests else b""
            self._blocks[number] = bytearray(written.ljust(SIZE, b"\0"))
        self._blocks.move_to_end(number)
        return self._blocks[number]

    def _evict(self) -> None:
        number, block = self._blocks.popitem(last=False)
        self._file.write(block, self._start + number * SIZE)
        self._digests[number] = hashlib.sha256(block).digest()


def hash_of(path: Path, start: int, progress: Progress = quiet) -> str:
    """The sha256 of the sha256 of each block from ``start`` on, blocks hashed side by side."""
    total = -(-(path.stat().st_size - start) // SIZE)
    together = hashlib.sha256()
    with fileerror.disk_errors(path), open(path, "rb", buffering=0) as file, ThreadPoolExecutor(4) as pool:
        file.seek(start)
        done = 0
        for blocks in _groups(iter(lambda: file.read(SIZE), b"")):
            for digest in pool.map(_digest, blocks):
                together.update(digest)
            done += len(blocks)
            progress(done, total, "verifying MiB")
    return together.hexdigest()


def _digest(block: bytes) -> bytes:
    return hashlib.sha256(block).digest()


def _groups(blocks: Iterable[bytes]) -> Iterator[list[bytes]]:
    group: list[bytes] = []
    for block in blocks:
        group.append(block)
        if len(group) == _AT_ONCE:
            yield group
            group = []
    if group:
        yield group
