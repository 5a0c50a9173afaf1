"""Files that are whole or absent: written under another name in the same folder, synced, then renamed into place.

Every call that changes the disk goes through this module's ``os``, which lets a test fail each of them in turn.
"""

import contextlib
import ctypes
import functools
import hashlib
import logging
import os
import re
import secrets
import stat
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeAlias, final

from inrkit.errors import DataError, UsageError
from inrkit.storage.fileerror import disk_errors, no_such_file

Bytes: TypeAlias = bytes | bytearray | memoryview

PLAIN = sum(getattr(os, name, 0) for name in ("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))
"""How files of ours are opened, as far as the system knows such flags: no link, no waiting, bytes as they are."""
_BLOCK = 1 << 20  # bytes that are written at once, at least where there are more
_TEMPORARY = re.compile(r"\.tmp-(?P<what>.+)-(?P<pid>\d+)")


def temporary_name(what: str) -> str:
    """The name of something unfinished of this process, as ``stale_temporaries`` recognizes it."""
    return f".tmp-{what}-{os.getpid()}"


def stale_temporaries(directory: Path) -> list[tuple[Path, str]]:
    """What processes that have ended left unfinished in ``directory``: (path, what it was to be).

    Leftovers under this process' own id count as stale too, for in a container the next process often gets the same
    id: ask before the first write, not during one.
    """
    found = [(path, _TEMPORARY.fullmatch(path.name)) for path in sorted(directory.glob(".tmp-*"))]
    named = [(path, match["what"], int(match["pid"])) for path, match in found if match]
    return [(path, what) for path, what, pid in named if pid == os.getpid() or not process_lives(pid)]


def process_lives(pid: int) -> bool:
    """Whether a process with this id runs on this machine."""
    if pid <= 0:
        return False
    if sys.platform == "win32":  # where signal 0 would be a Ctrl-C
        handle = ctypes.windll.kernel32.OpenProcess(0x1000, False, pid)  # the right to ask
        ctypes.windll.kernel32.CloseHandle(handle)
        return bool(handle)
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def sha256(*parts: Bytes) -> str:
    """The hexadecimal sha256 of the parts, one after the other."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def sha256_file(path: Path, *, start: int = 0) -> str:
    """The hexadecimal sha256 of a file's bytes from ``start`` on, read in pieces."""
    with disk_errors(path), open(path, "rb") as file:
        file.seek(start)
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_regular_file(path: Path, *, limit: int | None = None) -> bytes:
    """The bytes of an ordinary file; a symbolic link, a device, a folder or more than ``limit`` bytes is refused."""
    try:
        descriptor = os.open(path, os.O_RDONLY | PLAIN)
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise DataError(f"{path}: expected an ordinary file, found a folder or a device")
            if limit is not None and status.st_size > limit:
                raise DataError(f"{path}: expected at most {limit} bytes, found {status.st_size}")
            return file.read()
    except FileNotFoundError as error:
        raise no_such_file(path) from error
    except OSError as error:
        raise DataError(
            f"{path}: expected a readable file that is no link, found: {error.strerror or error}"
        ) from error


def write_bytes(path: Path, *parts: Bytes) -> None:
    """Put the parts at ``path``, replacing what was there; after a crash either the old or the new file is there."""
    with _cleaning:
        _clean_once(path.parent.absolute(), os.getpid())
    unfinished = path.parent / temporary_name(f"file-{secrets.token_hex(4)}")
    with disk_errors(path, needed=sum(memoryview(part).nbytes for part in parts)):
        try:
            write_new_file(unfinished, parts)
            os.replace(unfinished, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(unfinished)
            raise
        sync_folder(path.parent)


@final
class NewFile:
    """A file that is written anywhere in it, and has its name when it is whole: put in place, or discarded."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with _cleaning:
            _clean_once(path.parent.absolute(), os.getpid())
        self.unfinished = path.parent / temporary_name(f"file-{secrets.token_hex(4)}")
        with disk_errors(path):
            self._descriptor: int | None = os.open(self.unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL | PLAIN, 0o666)

    def write(self, data: Bytes, place: int) -> None:
        """Put bytes at a place."""
        rest = memoryview(data).cast("B")
        with disk_errors(self.path):
            os.lseek(self._open, place, os.SEEK_SET)
            while rest.nbytes:
                rest = rest[os.write(self._open, rest) :]

    def read(self, count: int, place: int) -> bytes:
        """Bytes that were written; fewer where the file ends."""
        with disk_errors(self.path):
            os.lseek(self._open, place, os.SEEK_SET)
            return os.read(self._open, count)

    def put_in_place(self, size: int) -> None:
        """Cut to so many bytes, seen to the disk, and renamed over what was there."""
        with disk_errors(self.path):
            os.ftruncate(self._open, size)
            os.fsync(self._open)
            self._close()
            os.replace(self.unfinished, self.path)
            sync_folder(self.path.parent)

    def discard(self) -> None:
        """Leave nothing unfinished behind."""
        with contextlib.suppress(OSError):
            self._close()
        with contextlib.suppress(OSError):
            os.unlink(self.unfinished)

    @property
    def _open(self) -> int:
        if self._descriptor is None:
            raise UsageError(f"{self.path}: expected a file that is being written, found one that is closed")
        return self._descriptor

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


@functools.cache
def _clean_once(folder: Path, pid: int) -> None:
    """Remove files that dead processes left unfinished in a folder, when this process first writes there."""
    for path, what in stale_temporaries(folder):
        if what.startswith("file-"):
            with contextlib.suppress(OSError):
                os.unlink(path)


_cleaning = threading.Lock()


def set_aside(path: Path, data: bytes, why: str) -> None:
    """Keep a copy of what a damaged file held beside it, and say so in one line, once for what is the same."""
    copy = path.with_name(path.name + ".damaged")
    if not copy.is_file() or copy.read_bytes() != data:
        write_bytes(copy, data)
        logging.getLogger("inrkit").warning("%s: %s; a copy is kept as %s", path, why, copy.name)


def write_text(path: Path, text: str) -> None:
    """``write_bytes`` for text, as UTF-8."""
    write_bytes(path, text.encode())


def write_new_file(path: Path, parts: Iterable[Bytes]) -> tuple[str, int]:
    """Write a file that must not exist yet and see it to the disk; returns its hexadecimal sha256 and its size.

    Not atomic: for use in a temporary place.
    """
    digest, size = hashlib.sha256(), 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | PLAIN, 0o666)
    try:
        for block in _blocks(parts):
            digest.update(block)
            size += block.nbytes
            rest = block
            while rest.nbytes:
                rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return digest.hexdigest(), size


def _blocks(parts: Iterable[Bytes]) -> Iterator[memoryview]:
    """The same bytes with small parts joined: a network has hundreds of small tensors, and a call for each is slow."""
    held = bytearray()
    for part in parts:
        data = memoryview(part).cast("B")
        if len(held) + data.nbytes > _BLOCK:
            yield memoryview(held)
            held = bytearray()
        if data.nbytes > _BLOCK:
            yield data
        else:
            held += data
    yield memoryview(held)


def make_folder(path: Path) -> None:
    """Make one folder that must not exist yet."""
    os.mkdir(path)


def rename(source: Path, target: Path) -> None:
    """Rename within one folder; atomic."""
    os.rename(source, target)


def sync_folder(path: Path) -> None:
    """See a folder's entries (new names, renames) to the disk; Windows does so by itself."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | PLAIN)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Remove a file or a whole folder; what is already gone is fine, and links are removed, not followed."""
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISDIR(os.lstat(path).st_mode):
            for name in os.listdir(path):
                remove(path / name)
            os.rmdir(path)
        else:
            os.unlink(path)
