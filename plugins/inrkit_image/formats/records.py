"""Importers of pictures that lie one after the other in a few large files: each is read once, from its beginning."""

import abc
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Literal, final

import attrs
import numpy as np

from inrkit import DataError, Importer, Progress, StoreWriter, at_least, option
from inrkit_image.formats.decode import Decoding, Tally, decode
from inrkit_image.formats.folders import ImagesImporter, ShapeOptions

_TEST = re.compile(r"(^|[^a-z])(test|val|valid|validation)([^a-z]|$)")  # test-00000-of-00001.parquet, val/000.tar


@attrs.frozen(kw_only=True, slots=False)
class RecordOptions(ShapeOptions):
    """What every importer of records has."""

    labels: Literal["none", "auto"] = option("auto", "source of class labels; auto: where there are any")
    background: tuple[int, int, int] = option((255, 255, 255), "colour behind transparent pixels, as R,G,B")
    limit: int | None = option(None, "maximum number of images of each file", at_least(1))
    skip_broken: bool = option(False, "skip images that cannot be read, instead of stopping")

    def decoding(self) -> Decoding:
        return attrs.evolve(super().decoding(), background=self.background)


@final
@attrs.frozen(eq=False)
class Record:
    """One picture: the bytes of an image file, and its class, as a number or a name, if it has one."""

    name: str
    data: bytes
    label: int | str | None = None


class RecordsImporter(Importer, abc.ABC):
    """Images in the order of the files. Files with "test" or "val" in their names are held out, if others are not."""

    modality = "image"
    suffixes: ClassVar[tuple[str, ...]]
    """Endings of the names of the files, in a folder and its subfolders."""
    Options: ClassVar[type] = RecordOptions

    @abc.abstractmethod
    def records(self, file: Path, options: RecordOptions) -> Iterator[Record]:
        """What one file holds. A `DataError` says what was expected and what was found."""

    def class_names(self, file: Path, options: RecordOptions) -> Sequence[str]:
        """Names of classes that are numbers, if the file says them."""
        return ()

    def run(self, source: Path, out: StoreWriter, options: RecordOptions, progress: Progress) -> None:
        files = _files(source, self.suffixes)
        tests = [bool(_TEST.search(file.relative_to(source.parent).as_posix().lower())) for file in files]
        named = list(self.class_names(files[0], options)) if options.labels == "auto" else []
        out.attributes.update({"title": source.name, "format": self.name})
        writer, done = _Writer(out, options, named), 0
        for file, test in zip(files, tests, strict=True):
            for number, record in enumerate(self.records(file, options)):
                if number == options.limit:
                    break
                writer.add(file, record, test if len({*tests}) > 1 else None)
                progress(done := done + 1)
        if not len(out):
            raise DataError(f"{source}: expected images, found none that could be read")
        writer.finish()


@final
class _Writer:
    """Appends records to a store, all of one shape, with classes for all or for none."""

    def __init__(self, out: StoreWriter, options: RecordOptions, names: list[str]) -> None:
        self._out, self._options, self._files = out, options, ImagesImporter()
        self._names, self._numbered = {name: number for number, name in enumerate(names)}, bool(names)
        self._highest, self._labelled = -1, True
        self._form: tuple[int, ...] = ()
        self._size: tuple[int, ...] | None = None
        self._tally = Tally()

    def add(self, file: Path, record: Record, test: bool | None) -> None:
        try:
            picture = decode(record.data, self._options.decoding(), self._tally)
        except DataError as error:
            if not self._options.skip_broken:
                advice = "--skip-broken leaves out what cannot be read"
                raise DataError(f"{file}: {record.name}: {error}; {advice}") from error
            self._out.skipped.append(f"{record.name}: {error}")
            return
        self._size = self._size or picture.shape[:2]
        if picture.shape[:2] != self._size:
            found = f"found {self._size} and, in '{record.name}', {picture.shape[:2]}"
            raise DataError(f"{file}: expected images of one size, {found}; give a 'size' for all")
        beside = {} if test is None else {"split": np.array([test], np.uint8)}
        if (label := self._label(record, file)) is not None:
            beside["labels"] = np.array([label], np.int64)
        self._form = self._files.append(self._out, picture[None], beside, self._form)

    def finish(self) -> None:
        self._out.remarks += self._tally.lines(len(self._out))
        if self._labelled:
            names = list(self._names) + [str(k) for k in range(len(self._names), self._highest + 1)]
            self._out.attributes["class_names"] = names

    def _label(self, record: Record, file: Path) -> int | None:
        label = None if self._options.labels == "none" else record.label
        if len(self._out) and self._labelled != (label is not None):
            raise DataError(f"{file}: expected a class for every image or for none, found '{record.name}' to differ")
        self._labelled = label is not None
        if isinstance(label, str):
            label = self._names.setdefault(label, len(self._names))
        if label is not None and label < 0:
            raise DataError(f"{file}: expected class numbers from 0, found {label} of '{record.name}'")
        self._highest = max(self._highest, -1 if label is None else label)
        return label


def _files(source: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """The source itself, or the files in it; links are not followed."""
    if source.is_file() and source.name.lower().endswith(suffixes):
        return [source]
    inside = source.rglob("*") if source.is_dir() else ()
    found = sorted(
        path for path in inside if path.name.lower().endswith(suffixes) and path.is_file() and not path.is_symlink()
    )
    if not found:
        raise DataError(f"{source}: expected files that end in {', '.join(suffixes)}, found none; check the path")
    return found
