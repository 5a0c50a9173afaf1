"""Importers for signals that people keep one to a file, in folders or archives."""

import abc
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Literal

import attrs
import numpy as np

from inrkit.core.option import at_least, option
from inrkit.errors import DataError
from inrkit.gridded.split import read_split
from inrkit.progress import Progress
from inrkit.storage.entries import Entries, below, open_entries
from inrkit.storage.importer import Importer
from inrkit.storage.storewriter import StoreWriter

# Folders called so are parts of a data set and no classes, unless asked for.
_SPLITS = frozenset(("train", "test", "val", "valid", "validation"))


@attrs.frozen(kw_only=True)
class FilesOptions:
    """What every importer of files has."""

    labels: Literal["none", "auto", "folder", "name"] = option(
        "none",
        "source of class labels: the folder (auto: if all files lie in subfolders), or the name up to the first _",
    )
    inside: str | None = option(None, "import only this folder of the source")
    split_file: str | None = option(
        None, "text file of held-out files, one a line by path or name; a second word may say train or test"
    )
    limit: int | None = option(None, "maximum number of signals, spread evenly over the source", at_least(1))
    skip_broken: bool = option(False, "skip files that cannot be read, instead of stopping")


class FilesImporter(Importer, abc.ABC):
    """The files of a folder, an archive, or a single one, in the order of their names, as signals of a `GridModality`.

    The store's ``array`` (N, C, *size) holds what `decode` made of each.
    """

    suffixes: ClassVar[tuple[str, ...]]
    """Endings of the names of files that hold a signal, in lower case; others are passed over, but see `recognise`."""
    array: ClassVar[str] = "values"
    Options: ClassVar[type] = FilesOptions

    @abc.abstractmethod
    def decode(self, data: bytes, options: Any) -> np.ndarray:
        """The signal of one file, (C, *size). A `DataError` says what was expected and what was found."""

    def recognise(self, head: bytes) -> bool:
        """Whether a file with another name holds a signal, by its first 16 bytes."""
        return False

    def size_of(self, signal: np.ndarray) -> tuple[int, ...]:
        """What has to be the same for all signals of a store."""
        return signal.shape

    def form(self, signals: np.ndarray) -> tuple[int, ...]:
        """How much signals (n, C, *size) need, such as a number of channels; a store has what most of them need."""
        return ()

    def in_form(self, signals: np.ndarray, form: tuple[int, ...]) -> np.ndarray:
        """Signals that need no more than ``form`` as signals that need all of it."""
        return signals

    def attributes(self, options: Any) -> Mapping[str, Any]:
        """What else the store says of its signals, such as their units."""
        return {}

    def run(self, source: Path, out: StoreWriter, options: Any, progress: Progress) -> None:
        with open_entries(source) as entries:
            self._append_all(entries, out, options, progress)

    def append(
        self, out: StoreWriter, signals: np.ndarray, beside: Mapping[str, np.ndarray], form: tuple[int, ...]
    ) -> tuple[int, ...]:
        """Append signals (n, C, *size), and arrays beside them, to a store of signals in ``form``; its new form."""
        needed = tuple(map(max, self.form(signals), form or self.form(signals)))
        if len(out) and needed != form:
            out.convert(self.array, lambda rows: self.in_form(rows, needed))
        out.append({self.array: self.in_form(signals, needed), **beside})
        return needed

    def wanted(self, entries: Entries, names: list[str], options: Any) -> tuple[list[str], dict[str, str] | None]:
        """Those of the files that are to be imported, and the class of each if they have classes."""
        found = self._signals_among(entries, names, options.inside)
        classes = _classes(entries.path, found, options.labels)
        limit = len(found) if options.limit is None else min(options.limit, len(found))
        return [found[i * len(found) // limit] for i in range(limit)], classes

    def signals(
        self, entries: Entries, names: list[str], options: Any, skipped: list[str]
    ) -> Iterator[tuple[str, np.ndarray | None]]:
        """The signal of each file, all of one size; None for what is left out because it is broken."""
        first: tuple[str, tuple[int, ...]] | None = None
        for name, data in entries.read(names):
            try:
                if isinstance(data, DataError):
                    raise data
                signal = self.decode(data, options)
            except DataError as error:
                broken = str(error) if error is data else f"{name}: {error}"
                if not options.skip_broken:
                    found = broken if entries.path.name == name else f"{entries.path}: {broken}"
                    raise DataError(f"{found}; --skip-broken leaves out what cannot be read") from error
                skipped.append(broken)
                yield name, None
            else:
                first = first or (name, self.size_of(signal))
                self._check_size(entries.path, first, (name, self.size_of(signal)))
                yield name, signal

    def _append_all(self, entries: Entries, out: StoreWriter, options: Any, progress: Progress) -> None:
        names, classes = self.wanted(entries, entries.names(), options)
        out.attributes.update({"title": entries.path.name, "format": self.name, **self.attributes(options)})
        if classes is not None:
            out.attributes["class_names"] = sorted(set(classes.values()))
        numbers = {name: number for number, name in enumerate(out.attributes.get("class_names", []))}
        held_out = _held_out(entries, options.split_file)
        form: tuple[int, ...] = ()
        for done, (name, signal) in enumerate(self.signals(entries, names, options, out.skipped), 1):
            if signal is not None:
                beside = {} if classes is None else {"labels": np.array([numbers[classes[name]]], np.int64)}
                beside |= {} if held_out is None else {"split": np.array([name in held_out], np.uint8)}
                form = self.append(out, signal[None], beside, form)
            progress(done, len(names))
        if not len(out):
            raise DataError(f"{entries.path}: expected signals, found only broken files: {out.skipped[0]}")

    def _signals_among(self, entries: Entries, names: list[str], inside: str | None) -> list[str]:
        if inside is not None:
            names = below(names, inside)
            if not names:
                raise DataError(f"{entries.path}: expected files inside '{inside}', found none; check 'inside'")
        unclear = [name for name in names if not name.lower().endswith(self.suffixes)]
        heads = entries.read(unclear, limit=16) if type(self).recognise is not FilesImporter.recognise else ()
        foreign = set(unclear) - {name for name, head in heads if isinstance(head, bytes) and self.recognise(head)}
        if len(foreign) == len(names):
            listed = ", ".join(self.suffixes)
            raise DataError(
                f"{entries.path}: expected files that end in {listed}, found none among {len(names)} files; "
                "check the path"
            )
        return [name for name in names if name not in foreign]

    def _check_size(self, path: Path, one: tuple[str, tuple[int, ...]], other: tuple[str, tuple[int, ...]]) -> None:
        if one[1] != other[1]:
            known = {field.name for field in attrs.fields(self.Options)}
            more = "; give a 'size' for all" if "size" in known else ""
            found = f"found {one[1]} in '{one[0]}' and {other[1]} in '{other[0]}'"
            raise DataError(f"{path}: expected signals of one shape, {found}{more}")


def _held_out(entries: Entries, split: str | None) -> frozenset[str] | None:
    """The files that a user's split file holds out."""
    if split is None:
        return None
    names = entries.names()
    return frozenset(name for name, chosen in zip(names, read_split(Path(split), names), strict=True) if chosen)


def _classes(path: Path, names: list[str], by: str) -> dict[str, str] | None:
    """The name of each file's class."""
    if by == "none":
        return None
    if by == "name":
        return {name: PurePosixPath(name).name.split("_")[0] for name in names}
    folders = {name: name.rpartition("/")[0] for name in names}
    common = os.path.commonpath(set(folders.values()))
    shared = common if by == "auto" else ""  # folders that all files have in common
    bare = next((name for name, folder in folders.items() if folder == shared), None)
    if bare is not None and by == "auto":
        return None
    if bare is not None:
        raise DataError(f"{path}: expected each file in a folder named after its class, found '{bare}' in none")
    classes = {name: sys.intern(folder.rpartition("/")[2]) for name, folder in folders.items()}
    found = set(classes.values())
    return None if by == "auto" and (len(found) < 2 or found <= _SPLITS) else classes
