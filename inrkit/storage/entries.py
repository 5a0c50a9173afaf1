"""The files of a folder, a tar or a zip archive, or one file by itself, by name; no name leads to a file on disk."""

import abc
import bz2
import contextlib
import gzip
import lzma
import os
import tarfile
import tempfile
import typing
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from inrkit.errors import DataError
from inrkit.storage import fileerror

# Larger members are cut off here and then fail to decode: a small archive can promise any number of bytes.
LARGEST = 1 << 28

# An archive may be unpacked to so many bytes, and to so many times its own: pictures hardly become smaller.
_UNPACKED, _TIMES = 64 << 20, 30

_DAMAGE = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, gzip.BadGzipFile, EOFError, OSError)


_T = typing.TypeVar("_T")


class Entries(contextlib.AbstractContextManager["Entries"]):
    """Regular files by name, with ``/`` between folders; use as a context manager. Hidden files are left out."""

    largest: typing.ClassVar[int] = LARGEST
    """Bytes after which a file is cut off."""

    def __init__(self, path: Path, names: Iterable[str]):
        self.path, self._names = path, sorted(names)

    def __exit__(self, *_: object) -> None:
        return None

    def names(self) -> list[str]:
        """All names, sorted."""
        return list(self._names)

    def read(self, names: Iterable[str], *, limit: int = LARGEST) -> Iterator[tuple[str, bytes | DataError]]:
        """The named files' first ``limit`` bytes, one by one; an error stands for an unreadable file."""
        for name in names:
            yield name, self._begin(name, limit)

    def read_one(self, name: str) -> bytes:
        """One whole file."""
        data = self._begin(name, LARGEST)
        if isinstance(data, DataError):
            raise data
        return data

    @abc.abstractmethod
    def _begin(self, name: str, limit: int) -> bytes | DataError: ...


class _Files(Entries):
    """Files on disk."""

    def _path_of(self, name: str) -> Path:
        return self.path / name

    def _begin(self, name: str, limit: int) -> bytes | DataError:
        try:
            with self._path_of(name).open("rb") as file:
                return file.read(limit)
        except OSError as error:
            return DataError(f"{name}: cannot be read: {error.strerror}.")


@typing.final
class Folder(_Files):
    """A folder with its subfolders, symbolic links included as long as they lead no way back up."""

    def __init__(self, path: Path):
        found: list[str] = []
        seen: set[str] = set()
        for folder, subfolders, files in os.walk(path, followlinks=True):
            if (here := os.path.realpath(folder)) in seen:
                subfolders.clear()
                continue
            seen.add(here)
            inside = Path(folder).relative_to(path).as_posix()
            names = files if inside == "." else [f"{inside}/{file}" for file in files]
            found += [name for name in names if not _is_hidden(name) and os.path.isfile(path / name)]
        self._real = {plain: name for name in found if (plain := _plain(name)) != name}
        others = (name for name in found if name not in self._real.values()) if self._real else found
        super().__init__(path, [*others, *self._real])

    def _path_of(self, name: str) -> Path:
        return self.path / self._real.get(name, name)


@typing.final
class OneFile(_Files):
    """A single file."""

    def __init__(self, path: Path):
        super().__init__(path, [_plain(path.name)])

    def _path_of(self, name: str) -> Path:
        return self.path


@typing.final
class TarArchive(Entries):
    """A tar archive. Only regular files count, and of equal names the last.

    Going back in a compressed one means starting over, so it is decompressed once, into a temporary file.
    """

    def __init__(self, path: Path):
        self._file: typing.IO[bytes] = path.open("rb")
        try:
            with _archive_errors(path):
                if not _is_plain_tar(self._file):
                    with self._file as compressed:
                        self._file = _decompressed(compressed)
                self._members = _visible(_places(self._file))
        except BaseException:
            self._file.close()
            raise
        super().__init__(path, self._members)

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _begin(self, name: str, limit: int) -> bytes:
        place, size = self._members[name]
        with _archive_errors(self.path):
            self._file.seek(place)
            data = self._file.read(min(size, limit))
        if len(data) < min(size, limit):
            raise DataError(f"{self.path}: expected {size} bytes of '{name}', found {len(data)}; it is cut off.")
        return data


def _is_plain_tar(file: typing.IO[bytes]) -> bool:
    try:
        tarfile.open(fileobj=file, mode="r:").close()
    except tarfile.TarError:
        return False
    finally:
        file.seek(0)
    return True


def _decompressed(file: typing.IO[bytes]) -> typing.IO[bytes]:
    """The contents of a file compressed with gzip, bzip2 or xz, in a temporary file that nothing has to remove."""
    start = file.read(6)
    file.seek(0)
    kinds: dict[bytes, typing.Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open}
    opened = next((opener for magic, opener in kinds.items() if start.startswith(magic)), lzma.open)(file)
    target = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed on exit
    left = _allowed(file)
    try:
        while data := opened.read(1 << 20):
            if (left := left - len(data)) < 0:
                raise _bomb(file.name)
            with fileerror.disk_errors(Path(tempfile.gettempdir())):
                target.write(data)
    except BaseException:
        target.close()
        raise
    target.seek(0)
    return target


def _allowed(file: typing.IO[bytes]) -> int:
    """Bytes that a compressed file may be unpacked to."""
    return _UNPACKED + _TIMES * os.fstat(file.fileno()).st_size


def _bomb(path: Path | str) -> DataError:
    return DataError(
        f"{path}: expected an archive that unpacks to at most {_UNPACKED >> 20} MiB and {_TIMES} times its own bytes, "
        "found more; unpack it, and give the folder"
    )


def _places(file: typing.IO[bytes]) -> dict[str, tuple[int, int]]:
    """Where each regular file of a tar archive begins, and its size."""
    found: dict[str, tuple[int, int]] = {}
    with tarfile.open(fileobj=file, mode="r:") as tar:
        while (member := tar.next()) is not None:
            if member.isreg() and not member.issparse():
                found[member.name] = (member.offset_data, member.size)
            tar.members.clear()  # type: ignore[attr-defined]  # else they are all kept; typeshed does not know of them
    return found


@typing.final
class ZipArchive(Entries):
    """A zip archive; of equal names the last counts."""

    def __init__(self, path: Path):
        with _archive_errors(path), path.open("rb") as file:
            allowed = _allowed(file)
            self._zip = zipfile.ZipFile(path)  # closed on exit
        if sum(member.file_size for member in self._zip.filelist) > allowed:  # no member is read beyond what it says
            self._zip.close()
            raise _bomb(path)
        # there may be a million members: what zipfile keeps of them is enough
        members = self._zip.NameToInfo
        found = [n for n, m in members.items() if not (m.is_dir() or _is_link(m) or _is_hidden(n))]
        self._real = {plain: name for name in found if (plain := _plain(name)) != name}
        if self._real:
            found = [*(name for name in found if _plain(name) == name and name not in self._real), *self._real]
        super().__init__(path, found)

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def _begin(self, name: str, limit: int) -> bytes | DataError:
        try:
            with self._zip.open(self._real.get(name, name)) as file:
                return file.read(limit)
        # RuntimeError: encrypted; NotImplementedError: unknown compression
        except (*_DAMAGE, RuntimeError, NotImplementedError) as error:
            return DataError(f"{self.path}: cannot read member '{name}': {error}.")


def open_entries(path: Path) -> Entries:
    """What lies at ``path``, told by its content and not by its name."""
    path = Path(path)
    if path.is_dir():
        return Folder(path)
    if not path.is_file():
        raise DataError(f"{path}: expected a folder, an archive or a file, found nothing there; check the path.")
    with _archive_errors(path):
        if zipfile.is_zipfile(path):
            return ZipArchive(path)
        return TarArchive(path) if tarfile.is_tarfile(path) else OneFile(path)


def below(names: list[str], inside: str) -> list[str]:
    """Those in the folder ``inside``, which may leave out the one folder that everything lies in."""
    prefix = inside.strip("/") + "/"
    tops = {name.split("/")[0] for name in names}
    if len(tops) == 1 and not any(name.startswith(prefix) for name in names):
        prefix = f"{tops.pop()}/{prefix}"
    return [name for name in names if name.startswith(prefix)]


@contextlib.contextmanager
def _archive_errors(path: Path) -> Iterator[None]:
    """Turns what a damaged archive raises into a `DataError`."""
    try:
        yield
    except _DAMAGE as error:
        raise DataError(f"{path}: expected an intact archive, found damage: {error}.") from error


def _visible(found: Mapping[str, _T]) -> dict[str, _T]:
    """By their plain names, without what is hidden."""
    return {_plain(name): item for name, item in found.items() if not _is_hidden(name)}


def _plain(name: str) -> str:
    """Without ``./`` in front, and without surrogates, which no JSON can hold; the same text where it has neither."""
    if name.isascii() and name[:1] not in ("/", "."):
        return name
    return name.removeprefix("./").lstrip("/").encode("utf-8", "backslashreplace").decode()


def _is_hidden(name: str) -> bool:
    """``.git/x``, ``a/.DS_Store``, ``a/._b.png``, and the folder that macOS puts into zip archives."""
    parts = name.split("/")
    return "__MACOSX" in parts or any(part.startswith(".") and part not in (".", "..") for part in parts)


def _is_link(member: zipfile.ZipInfo) -> bool:
    kind = (member.external_attr >> 16) & 0o170000
    return kind not in (0, 0o100000)
