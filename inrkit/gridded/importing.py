"""Importers for signals that people keep one to a file, in folders or archives."""

import abc
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Literal

import attrs
import numpy as np

from inrkit.core.option import option
from inrkit.errors import DataError, UsageError
from inrkit.progress import Progress
from inrkit.storage.entries import Entries, open_entries
from inrkit.storage.importer import Imported, Importer


@attrs.frozen(kw_only=True)
class FilesOptions:
    """What every importer of files has."""

    labels: Literal["none", "folder", "name"] = option(
        "none", "where class labels come from: the name of the folder, or the file name up to the first _"
    )
    limit: int | None = option(None, "maximum number of signals, spread evenly over the source")
    skip_broken: bool = option(False, "skip files that cannot be read, instead of stopping")

    def __attrs_post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise UsageError(f"'limit' must be at least 1 (got {self.limit})")


class FilesImporter(Importer, abc.ABC):
    """The files of a folder, an archive, or a single one, in the order of their names, as signals of a `GridModality`.

    The store's array ``values`` (N, C, *size) holds what `decode` made of each.
    """

    suffixes: ClassVar[tuple[str, ...]]
    """Endings of the names of files that hold a signal, in lower case; others are passed over."""
    Options: ClassVar[type] = FilesOptions

    @abc.abstractmethod
    def decode(self, data: bytes, options: Any) -> np.ndarray:
        """The signal of one file, (C, *size). A `DataError` says what was expected and what was found."""

    def attributes(self, options: Any) -> Mapping[str, Any]:
        """What else the store says of its signals, such as their units."""
        return {}

    def run(self, source: Path, options: Any, progress: Progress) -> Imported:
        with open_entries(source) as entries:
            names = [name for name in entries.names() if name.lower().endswith(self.suffixes)]
            if not names:
                listed = ", ".join(self.suffixes)
                raise DataError(f"{source}: expected files that end in {listed}, found none; check the path")
            if options.limit is not None and options.limit < len(names):
                names = [names[i * len(names) // options.limit] for i in range(options.limit)]
            decoded, skipped = self._decode_all(entries, names, options, progress)
        kept = [name for name in names if name in decoded]
        if not kept:
            raise DataError(f"{source}: expected signals, found only broken files: {skipped[0]}")
        arrays = {"values": np.stack([decoded[name] for name in kept])}
        attributes = {"title": source.name, "format": self.name, **self.attributes(options)}
        if options.labels != "none":
            classes = [_class_of(name, options.labels) for name in kept]
            attributes["class_names"] = sorted(set(classes))
            arrays["labels"] = np.array([attributes["class_names"].index(c) for c in classes], np.int64)
        return Imported(self.modality, arrays, attributes, skipped)

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
                decoded[name] = self._decoded(name, data, options)
            except DataError as error:
                if not options.skip_broken:
                    found = str(error) if entries.path.name == name else f"{entries.path}: {error}"
                    raise DataError(f"{found}; --skip-broken leaves out what cannot be read") from error
                skipped.append(str(error))
            else:
                self._check_shape(entries.path, decoded, name)
            progress(done, len(names))
        return decoded, tuple(sorted(skipped))

    def _decoded(self, name: str, data: bytes, options: Any) -> np.ndarray:
        try:
            return self.decode(data, options)
        except DataError as error:
            raise DataError(f"{name}: {error}") from error

    @staticmethod
    def _check_shape(path: Path, decoded: Mapping[str, np.ndarray], name: str) -> None:
        first = next(iter(decoded))
        if decoded[name].shape != decoded[first].shape:
            raise DataError(
                f"{path}: expected signals of one shape, found {decoded[first].shape} in '{first}' and "
                f"{decoded[name].shape} in '{name}'"
            )


def _class_of(name: str, by: str) -> str:
    path = PurePosixPath(name)
    if by == "name":
        return path.name.split("_")[0]
    if path.parent.name == "":
        raise DataError(f"{name}: expected each file in a folder named after its class, found it in none")
    return path.parent.name
