"""Disks that fail at the k-th call, and bytes damaged as disks and copies damage them."""

import builtins
import errno
import io
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn, final

CHANGING = ("open", "write", "fsync", "rename", "replace", "mkdir", "unlink", "rmdir", "close")
"""Functions of `os` that change a disk."""
_REAL = {name: getattr(os, name) for name in (*CHANGING, "ftruncate")}


class FaultyOs:
    """``os``, but the ``k``-th changing call does ``fail`` instead; ``calls`` counts them."""

    def __init__(self, k: int, fail: Callable[[], None]) -> None:
        self.k, self.fail, self.calls = k, fail, 0

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name not in CHANGING:
            return real

        def call(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            if self.calls == self.k:
                if name == "close":  # a failing close has closed nevertheless
                    real(*args)
                self.fail()
            return real(*args, **kwargs)

        return call


def damages(data: bytes, count: int, seed: int | str) -> Iterator[bytes]:
    """``count`` altered versions: flipped bits, truncations, zeroed blocks, things appended."""
    rng = random.Random(seed)
    made = 0
    while made < count:
        kind, place = rng.choice(["flip"] * 4 + ["cut", "zero", "grow"]), rng.randrange(len(data))
        other = bytearray(data)
        if kind == "flip":
            other[place] ^= 1 << rng.randrange(8)
        elif kind == "cut":
            del other[place:]
        elif kind == "zero":
            length = min(rng.choice([16, 256, 4096]), len(data) - place)
            other[place : place + length] = bytes(length)
        else:
            other += bytes(rng.randrange(1, 100))
        if bytes(other) != data:
            made += 1
            yield bytes(other)


def die() -> NoReturn:
    """As a machine that loses its power."""
    os._exit(9)


def failing(number: int) -> Callable[[], NoReturn]:
    """As a disk that says this."""

    def fail() -> NoReturn:
        raise OSError(number, os.strerror(number))

    return fail


FAULTS: dict[str, Callable[[], NoReturn] | None] = {
    "die": die,
    "EIO": failing(errno.EIO),
    "ENOSPC": failing(errno.ENOSPC),
    "short write": None,  # half of it
}


@final
class FailingDisk:
    """From `install` on, the k-th call of this process that changes a file fails; Python's own files are among them.

    What code that is not Python's writes by itself is not seen.
    """

    def __init__(self, k: int = 0, fault: str = "die") -> None:
        self.k, self.fault, self.calls, self.writes = k, fault, 0, 0

    def install(self) -> None:
        for name in _REAL:
            setattr(os, name, self._wrapped(name))
        opened, disk = io.open, self

        def open_file(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            if not set(mode) & set("wax+") or isinstance(file, int):
                return opened(file, mode, *args, **kwargs)
            return disk._opened(file, mode, *args, **kwargs)

        builtins.open = io.open = open_file

    def tell(self, path: Path) -> None:
        """Write the number of calls and of writes when the process ends."""
        text = f"{self.calls} {self.writes}".encode()
        descriptor = _REAL["open"](path, os.O_WRONLY | os.O_CREAT)
        _REAL["write"](descriptor, text)
        _REAL["close"](descriptor)

    def count(self, data: Any = None) -> int | None:
        """One call more: it fails, or writes but so many bytes, or None for what it is asked to."""
        self.calls, self.writes = self.calls + 1, self.writes + (data is not None)
        fail = FAULTS[self.fault]
        if fail is None:
            whole = data is None or self.writes != self.k
            return None if whole else max(1, memoryview(data).nbytes // 2)
        if self.calls == self.k:
            fail()
        return None

    def _wrapped(self, name: str) -> Callable[..., Any]:
        real = _REAL[name]

        def call(*args: Any, **kwargs: Any) -> Any:
            if name == "open" and not (args[1] if len(args) > 1 else 0) & (os.O_WRONLY | os.O_RDWR):
                return real(*args, **kwargs)
            if name == "close":
                real(*args)
            if name == "write":
                some = self.count(args[1])
                return real(args[0], args[1] if some is None else memoryview(args[1]).cast("B")[:some])
            self.count()
            return None if name == "close" else real(*args, **kwargs)

        return call

    def _opened(self, file: Any, mode: str, buffering: int = -1, *args: Any, **kwargs: Any) -> Any:
        disk = self

        class Raw(io.FileIO):
            def write(self, data: Any) -> int:
                some = disk.count(data)
                return super().write(data if some is None else memoryview(data).cast("B")[:some])

        raw = Raw(file, mode.replace("b", "").replace("t", ""))
        try:
            self.count()
        except OSError:
            raw.close()
            raise
        if buffering == 0:
            return raw
        buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        if "b" in mode:
            return buffered
        names = ("encoding", "errors", "newline")
        return io.TextIOWrapper(buffered, **{**dict(zip(names, args, strict=False)), **kwargs})
