"""The files of a folder, a tar or a zip archive, or one file by itself, by name; nothing is unpacked to disk."""

import abc
import contextlib
import gzip
import lzma
import os
import tarfile
import typing
import zipfile
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path

from inrkit.errors import DataError

# Larger members are cut off here and then fail to decode: a small archive can promise any number of bytes.
LARGEST = 1 << 28

_DAMAGE = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, gzip.BadGzipFile, EOFError, OSError)


_Member = typing.TypeVar("_Member", tarfile.TarInfo, zipfile.ZipInfo)


class Entries(abc.ABC):
    """Regular files by name, with ``/`` between folders; use as a context manager. Hidden files are left out."""

    largest: typing.ClassVar[int] = LARGEST
    """Bytes after which a file is cut off."""

    def __init__(self, path: Path):
        self.path = path

    def __enter__(self) -> "Entries":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    @abc.abstractmethod
    def names(self) -> list[str]:
        """All names, sorted."""

    @abc.abstractmethod
    def read(self, names: Collection[str], *, limit: int = LARGEST) -> Iterator[tuple[str, bytes | DataError]]:
        """The named files' first ``limit`` bytes, in the cheapest order; an error stands for an unreadable file."""

    def read_one(self, name: str) -> bytes:
        """One whole file."""
        for _, data in self.read([name]):
            if isinstance(data, DataError):
                raise data
            return data
        raise DataError(f"{self.path}: expected a file '{name}' inside, found none.")


@typing.final
class Folder(Entries):
    """A folder with its subfolders, symbolic links included as long as they lead no way back up."""

    def __init__(self, path: Path):
        super().__init__(path)
        found: list[str] = []
        seen: set[str] = set()
        for folder, subfolders, files in os.walk(self.path, followlinks=True):
            here = os.path.realpath(folder)
            if here in seen:
                subfolders.clear()
                continue
            seen.add(here)
            found += [(Path(folder) / file).relative_to(self.path).as_posix() for file in files]
        files = [name for name in found if not _is_hidden(name) and (self.path / name).is_file()]
        self._paths = {_plain(name): self.path / name for name in files}

    def names(self) -> list[str]:
        return sorted(self._paths)

    def read(self, names: Collection[str], *, limit: int = LARGEST) -> Iterator[tuple[str, bytes | DataError]]:
        for name in names:
            yield name, _bytes_of(self._paths[name], name, limit)


@typing.final
class OneFile(Entries):
    """A single file."""

    def names(self) -> list[str]:
        return [_plain(self.path.name)]

    def read(self, names: Collection[str], *, limit: int = LARGEST) -> Iterator[tuple[str, bytes | DataError]]:
        for name in names:
            yield name, _bytes_of(self.path, name, limit)


class _Archive(Entries, typing.Generic[_Member]):
    """Members by name. Only regular files count, and of equal names the last."""

    def __init__(self, path: Path, opened: tarfile.TarFile | zipfile.ZipFile, members: dict[str, _Member]):
        super().__init__(path)
        self._opened = opened
        self._members: dict[str, _Member] = {_plain(k): m for k, m in members.items() if not _is_hidden(k)}

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def names(self) -> list[str]:
        return sorted(self._members)


@typing.final
class TarArchive(_Archive[tarfile.TarInfo]):
    """A tar archive, compressed or not."""

    def __init__(self, path: Path):
        with _archive_errors(path):
            self._tar = tarfile.open(path)  # noqa: SIM115 - closed on exit
            super().__init__(path, self._tar, {m.name: m for m in self._tar.getmembers() if m.isreg()})

    def read(self, names: Collection[str], *, limit: int = LARGEST) -> Iterator[tuple[str, bytes | DataError]]:
        # by offset, because going back in a compressed archive means starting over
        for name in sorted(names, key=lambda name: self._members[name].offset_data):
            with _archive_errors(self.path):
                file = self._tar.extractfile(self._members[name])
                data = file.read(limit) if file else b""
            yield name, data


@typing.final
class ZipArchive(_Archive[zipfile.ZipInfo]):
    """A zip archive."""

    def __init__(self, path: Path):
        with _archive_errors(path):
            self._zip = zipfile.ZipFile(path)  # closed on exit
            regular = [m for m in self._zip.infolist() if not m.is_dir() and not _is_link(m)]
            super().__init__(path, self._zip, {m.filename: m for m in regular})

    def read(self, names: Collection[str], *, limit: int = LARGEST) -> Iterator[tuple[str, bytes | DataError]]:
        for name in names:
            try:
                with self._zip.open(self._members[name]) as file:
                    data: bytes | DataError = file.read(limit)
            # RuntimeError: encrypted; NotImplementedError: unknown compression
            except (*_DAMAGE, RuntimeError, NotImplementedError) as error:
                data = DataError(f"{self.path}: cannot read member '{name}': {error}.")
            yield name, data


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
    top = {name.split("/")[0] for name in names}
    chosen = [name for name in names if name.startswith(prefix)]
    if not chosen and len(top) == 1:
        prefix = f"{top.pop()}/{prefix}"
        chosen = [name for name in names if name.startswith(prefix)]
    return chosen


@contextlib.contextmanager
def _archive_errors(path: Path) -> Iterator[None]:
    """Turns what a damaged archive raises into a `DataError`."""
    try:
        yield
    except _DAMAGE as error:
        raise DataError(f"{path}: expected an intact archive, found damage: {error}.") from error


def _bytes_of(path: Path, name: str, limit: int) -> bytes | DataError:
    try:
        with path.open("rb") as file:
            return file.read(limit)
    except OSError as error:
        return DataError(f"{name}: cannot be read: {error.strerror}.")


def _plain(name: str) -> str:
    """Without ``./`` in front, and without surrogates, which no JSON can hold."""
    return name.removeprefix("./").lstrip("/").encode("utf-8", "backslashreplace").decode()


def _is_hidden(name: str) -> bool:
    """``.git/x``, ``a/.DS_Store``, ``a/._b.png``, and the folder that macOS puts into zip archives."""
    parts = name.split("/")
    return "__MACOSX" in parts or any(part.startswith(".") and part not in (".", "..") for part in parts)


def _is_link(member: zipfile.ZipInfo) -> bool:
    kind = (member.external_attr >> 16) & 0o170000
    return kind not in (0, 0o100000)
