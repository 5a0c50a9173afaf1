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
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from inrkit.errors import DataError

# Larger members are cut off here and then fail to decode: a small archive can promise any number of bytes.
LARGEST = 1 << 28

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

    def read(self, names: Collection[str], *, limit: int = LARGEST) -> Iterator[tuple[str, bytes | DataError]]:
        """The named files' first ``limit`` bytes, in the cheapest order; an error stands for an unreadable file."""
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

    def __init__(self, path: Path, files: Mapping[str, Path]):
        super().__init__(path, files)
        self._files = files

    def _begin(self, name: str, limit: int) -> bytes | DataError:
        try:
            with self._files[name].open("rb") as file:
                return file.read(limit)
        except OSError as error:
            return DataError(f"{name}: cannot be read: {error.strerror}.")


@typing.final
class Folder(_Files):
    """A folder with its subfolders, symbolic links included as long as they lead no way back up."""

    def __init__(self, path: Path):
        found: dict[str, Path] = {}
        seen: set[str] = set()
        for folder, subfolders, files in os.walk(path, followlinks=True):
            if (here := os.path.realpath(folder)) in seen:
                subfolders.clear()
                continue
            seen.add(here)
            paths = [Path(folder) / file for file in files]
            found |= {file.relative_to(path).as_posix(): file for file in paths}
        super().__init__(path, {name: file for name, file in _visible(found).items() if file.is_file()})


@typing.final
class OneFile(_Files):
    """A single file."""

    def __init__(self, path: Path):
        super().__init__(path, {_plain(path.name): path})


@typing.final
class TarArchive(Entries):
    """A tar archive, compressed or not. Only regular files count, and of equal names the last."""

    def __init__(self, path: Path):
        with _archive_errors(path):
            self._tar = tarfile.open(path)  # noqa: SIM115 - closed on exit
            self._members = _visible({m.name: m for m in self._tar.getmembers() if m.isreg()})
        super().__init__(path, self._members)

    def __exit__(self, *_: object) -> None:
        self._tar.close()

    def read(self, names: Collection[str], *, limit: int = LARGEST) -> Iterator[tuple[str, bytes | DataError]]:
        # by offset, because going back in a compressed archive means starting over
        return super().read(sorted(names, key=lambda name: self._members[name].offset_data), limit=limit)

    def _begin(self, name: str, limit: int) -> bytes:
        with _archive_errors(self.path):
            file = self._tar.extractfile(self._members[name])
            return file.read(limit) if file else b""


@typing.final
class ZipArchive(Entries):
    """A zip archive; of equal names the last counts."""

    def __init__(self, path: Path):
        with _archive_errors(path):
            self._zip = zipfile.ZipFile(path)  # closed on exit
            regular = [m for m in self._zip.infolist() if not m.is_dir() and not _is_link(m)]
            self._members = _visible({m.filename: m for m in regular})
        super().__init__(path, self._members)

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def _begin(self, name: str, limit: int) -> bytes | DataError:
        try:
            with self._zip.open(self._members[name]) as file:
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
    """Without ``./`` in front, and without surrogates, which no JSON can hold."""
    return name.removeprefix("./").lstrip("/").encode("utf-8", "backslashreplace").decode()


def _is_hidden(name: str) -> bool:
    """``.git/x``, ``a/.DS_Store``, ``a/._b.png``, and the folder that macOS puts into zip archives."""
    parts = name.split("/")
    return "__MACOSX" in parts or any(part.startswith(".") and part not in (".", "..") for part in parts)


def _is_link(member: zipfile.ZipInfo) -> bool:
    kind = (member.external_attr >> 16) & 0o170000
    return kind not in (0, 0o100000)
