"""A disk that fails at the k-th call which changes it, and bytes damaged as disks and copies damage them."""

import os
import random
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from inrkit.storage import atomic

CHANGING = ("open", "write", "fsync", "rename", "replace", "mkdir", "unlink", "rmdir", "close")


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


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Callable[[], None]], FaultyOs]:
    """Give ``atomic`` a faulty ``os`` from here on."""

    def install(k: int, fail: Callable[[], None]) -> FaultyOs:
        disk = FaultyOs(k, fail)
        monkeypatch.setattr(atomic, "os", disk)
        return disk

    assert isinstance(atomic.os, ModuleType)
    return install


def damages(data: bytes, count: int, seed: int) -> Iterator[bytes]:
    """``count`` altered versions: flipped bits, truncations, zeroed and swapped blocks, things appended."""
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


@pytest.fixture
def damaged() -> Callable[..., Iterator[bytes]]:
    """``damages`` as a fixture."""
    return damages
