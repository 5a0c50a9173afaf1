"""Which stores have been verified, so that the hash of a large one is compared once and not at every start.

They are remembered by path, size, times of change and number of the file in ``verified.json`` in the `cache_folder`.
What cannot be read or written there is as good as forgotten.
"""

import contextlib
import os
from pathlib import Path
from typing import Any, Self, final

import attrs

from inrkit.errors import InrkitError
from inrkit.storage import atomic, jsontext
from inrkit.storage.cache import cache_folder

LEAST = 32 << 20
"""Smaller stores are verified in no time, and are not remembered."""

_MOST = 1000  # stores that are remembered
_VERSION = 1


@final
@attrs.frozen
class Seen:
    """By what a file is recognised as the one that was verified."""

    path: str
    size: int
    modified: int
    changed: int
    number: int

    @classmethod
    def of(cls, path: Path) -> Self:
        """The file at ``path`` as it is now."""
        status = os.stat(path)
        return cls(str(path.absolute()), status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)

    def is_unwritten(self, status: os.stat_result) -> bool:
        """Whether this file, held open, has not been written to since; other names of it may come and go."""
        return self.size == status.st_size and self.modified == status.st_mtime_ns


def recall(seen: Seen) -> str | None:
    """The hash that this file was found to have."""
    entry = _read().get(seen.path) if seen.size >= LEAST else None
    if isinstance(entry, dict) and entry.get("seen") == _stamp(seen):
        return str(entry.get("sha256"))
    return None


def remember(seen: Seen, sha256: str) -> None:
    """That this file has this hash."""
    if seen.size < LEAST:
        return
    entries = _read()
    entries.pop(seen.path, None)
    entries[seen.path] = {"seen": _stamp(seen), "sha256": sha256}
    kept = dict(list(entries.items())[-_MOST:])
    with contextlib.suppress(InrkitError, OSError):
        cache_folder().mkdir(parents=True, exist_ok=True)
        found = {"version": _VERSION, "stores": kept}
        atomic.write_bytes(_path(), jsontext.encode(found, what="verified stores", sort=False))


def _stamp(seen: Seen) -> list[int]:
    return [seen.size, seen.modified, seen.changed, seen.number]


def _path() -> Path:
    return cache_folder() / "verified.json"


def _read() -> dict[str, Any]:
    with contextlib.suppress(InrkitError, OSError, RuntimeError):  # no home folder is a RuntimeError
        found = jsontext.decode(_path().read_bytes(), origin=str(_path()))
        if isinstance(found, dict) and found.get("version") == _VERSION and isinstance(found.get("stores"), dict):
            return dict(found["stores"])
    return {}
