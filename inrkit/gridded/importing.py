"""Importers for signals that people keep one to a file, in folders or archives."""

import abc
import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Literal

import attrs
import numpy as np

from inrkit.core.option import at_least, option
from inrkit.errors import DataError
from inrkit.progress import Progress
from inrkit.storage.entries import Entries, below, open_entries
from inrkit.storage.importer import Imported, Importer

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

    def stack(self, signals: Sequence[np.ndarray], options: Any) -> np.ndarray:
        """All signals as one array, (N, C, *size)."""
        return np.stack(signals)

    def attributes(self, options: Any) -> Mapping[str, Any]:
        """What else the store says of its signals, such as their units."""
        return {}

    def run(self, source: Path, options: Any, progress: Progress) -> Imported:
        with open_entries(source) as entries:
            return self.read(entries, entries.names(), options, progress)

    def read(self, entries: Entries, names: list[str], options: Any, progress: Progress) -> Imported:
        """The signals among the named files."""
        found = self._signals_among(entries, names, options.inside)
        classes = _classes(entries.path, found, options.labels)
        limit = len(found) if options.limit is None else min(options.limit, len(found))
        chosen = [i * len(found) // limit for i in range(limit)]
        decoded, skipped = self._decode_all(entries, [found[i] for i in chosen], options, progress)
        kept = [i for i in chosen if found[i] in decoded]
        if not kept:
            raise DataError(f"{entries.path}: expected signals, found only broken files: {skipped[0]}")
        arrays = {self.array: self.stack([decoded.pop(found[i]) for i in kept], options)}
        attributes = {"title": entries.path.name, "format": self.name, **self.attributes(options)}
        if classes is not None:
            attributes["class_names"] = class_names = sorted(set(classes))
            arrays["labels"] = np.array([class_names.index(classes[i]) for i in kept], np.int64)
        return Imported(self.modality, arrays, attributes, skipped)

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

    def _decode_all(
        self, entries: Entries, names: list[str], options: Any, progress: Progress
    ) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
        """Each readable signal by name, all of one shape, and a line for each file that was left out."""
        decoded: dict[str, np.ndarray] = {}
        skipped: list[str] = []
        for done, (name, data) in enumerate(entries.read(names), 1):
            try:
                if isinstance(data, DataError):
                    raise data
                decoded[name] = self.decode(data, options)
            except DataError as error:
                broken = str(error) if error is data else f"{name}: {error}"
                if not options.skip_broken:
                    found = broken if entries.path.name == name else f"{entries.path}: {broken}"
                    raise DataError(f"{found}; --skip-broken leaves out what cannot be read") from error
                skipped.append(broken)
            else:
                self._check_size(entries.path, decoded, name)
            progress(done, len(names))
        return decoded, tuple(sorted(skipped))

    def _check_size(self, path: Path, decoded: Mapping[str, np.ndarray], name: str) -> None:
        first = next(iter(decoded))
        one, other = self.size_of(decoded[first]), self.size_of(decoded[name])
        if one != other:
            known = {field.name for field in attrs.fields(self.Options)}
            more = "; give a 'size' for all" if "size" in known else ""
            raise DataError(
                f"{path}: expected signals of one shape, found {one} in '{first}' and {other} in '{name}'{more}"
            )


def _classes(path: Path, names: list[str], by: str) -> list[str] | None:
    """The name of each file's class."""
    if by == "none":
        return None
    if by == "name":
        return [PurePosixPath(name).name.split("_")[0] for name in names]
    folders = [name.split("/")[:-1] for name in names]
    common = os.path.commonpath(["/".join(folder) for folder in folders])
    shared = len(PurePosixPath(common).parts) if by == "auto" else 0  # folders that all files have in common
    bare = [name for name, folder in zip(names, folders, strict=True) if len(folder) <= shared]
    if bare and by == "auto":
        return None
    if bare:
        raise DataError(f"{path}: expected each file in a folder named after its class, found '{bare[0]}' in none")
    classes = [folder[-1] for folder in folders]
    found = set(classes)
    return None if by == "auto" and (len(found) < 2 or found <= _SPLITS) else classes
