"""What is wrong with a file, in one line: what was expected, what was found, and what to do."""

import contextlib
import difflib
import errno
import itertools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from inrkit.errors import DataError, InrkitError, ResourceError, UsageError

# EFBIG is what a file size limit (RLIMIT_FSIZE) gives where a full disk would give ENOSPC.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_WRONG_PLACE = (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError, FileExistsError)
_WRONG_NAME = {errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTEMPTY}


@contextlib.contextmanager
def disk_errors(path: Path, *, needed: int | None = None) -> Iterator[None]:
    """Turn what the operating system says about ``path`` into an error that says what to do."""
    try:
        yield
    except OSError as error:
        raise _explain(path, error, needed) from error


def _explain(path: Path, error: OSError, needed: int | None) -> InrkitError:
    reason = error.strerror or str(error)
    if error.errno in _FULL:
        room = f"{'more' if needed is None else needed} bytes needed, {_free(path)} bytes free ({reason})"
        return ResourceError(f"{path}: no room to write: {room}; make room and repeat")
    if error.errno == errno.EROFS:
        what = "cannot write" if needed is None else f"cannot write {needed} bytes"
        why = f"the file system is read-only ({_free(path)} bytes free)"
        return ResourceError(f"{path}: {what}: {why}; choose another place")
    if isinstance(error, _WRONG_PLACE) or error.errno in _WRONG_NAME:
        return UsageError(f"{path}: cannot be used: {reason}; choose another place")
    return ResourceError(f"{path}: the disk failed: {reason}")


def _free(path: Path) -> int:
    while not path.exists() and path != path.parent:
        path = path.parent
    try:
        return shutil.disk_usage(path).free
    except OSError:
        return 0


def no_such_file(path: Path | str) -> DataError:
    """Why a path that was given cannot be read."""
    return DataError(f"{path}: expected a file, found none of that name; check the path{neighbour(path)}")


def neighbour(path: Path | str) -> str:
    """``. Did you mean 'runs/faces'?`` where something of nearly that name lies beside it, or nothing."""
    path = Path(path)
    try:
        with os.scandir(path.parent) as found:
            names = [entry.name for entry in itertools.islice(found, 1000) if entry.name != path.name]
    except (OSError, ValueError):
        return ""
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.75)
    return f". Did you mean '{path.parent / near[0]}'?" if near else ""


def require_ordinary(path: Path, what: str) -> None:
    """An error where a path is there and no file: a pipe would be waited for."""
    if path.exists() and not path.is_file():
        raise DataError(f"{path}: expected {what}, found a folder, a pipe or a device; name a file")


def altered(origin: Path | str, expected: str, found: str, advice: str = "the file is damaged or altered") -> DataError:
    """Two hashes that should be one."""
    return DataError(f"{origin}: expected sha256 {expected[:12]}, found {found[:12]}; {advice}")


def other_version(origin: Path | str, expected: object, found: object) -> DataError:
    """A file of another program."""
    return DataError(f"{origin}: expected format version {expected}, found {found}; use a matching inrkit")
