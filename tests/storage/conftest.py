"""A disk that fails at the k-th call which changes it, and bytes damaged as disks and copies damage them."""

from collections.abc import Callable, Iterator
from types import ModuleType

import pytest

from inrkit.storage import atomic
from soak.faults import FaultyOs, damages


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Callable[[], None]], FaultyOs]:
    """Give ``atomic`` a faulty ``os`` from here on."""

    def install(k: int, fail: Callable[[], None]) -> FaultyOs:
        disk = FaultyOs(k, fail)
        monkeypatch.setattr(atomic, "os", disk)
        return disk

    assert isinstance(atomic.os, ModuleType)
    return install


@pytest.fixture
def damaged() -> Callable[..., Iterator[bytes]]:
    """``damages`` as a fixture."""
    return damages
