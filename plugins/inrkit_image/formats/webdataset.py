"""Shards of webdataset: tar files of pictures, each with the files of the same name that belong to it beside it."""

import lzma
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import final

from inrkit import DataError, Entries
from inrkit_image.formats.decode import SUFFIXES
from inrkit_image.formats.records import Record, RecordOptions, RecordsImporter

_DAMAGE = (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError)
_CLASS = "cls"


@final
class WebDatasetImporter(RecordsImporter):
    """``KEY.jpg`` and the like, and the class number in ``KEY.cls``, one after the other; nothing is unpacked."""

    name, summary = "webdataset", "webdataset shards, tar files of images with classes (KEY.jpg, KEY.cls)"
    suffixes = (".tar", ".tar.gz", ".tgz")

    def records(self, file: Path, options: RecordOptions) -> Iterator[Record]:
        key, parts = "", dict[str, bytes]()
        try:
            with tarfile.open(file, "r|*") as archive:
                for member in archive:
                    folder, slash, name = member.name.rpartition("/")
                    stem, _, ending = name.partition(".")
                    wanted = f".{ending.lower()}" in SUFFIXES or ending == _CLASS
                    if not member.isreg() or not stem or not wanted:
                        continue
                    if f"{folder}{slash}{stem}" != key:
                        yield from _record(file, key, parts)
                        key, parts = f"{folder}{slash}{stem}", {}
                    content = archive.extractfile(member)
                    parts[ending.lower()] = b"" if content is None else content.read(Entries.largest)
        except _DAMAGE as error:
            raise DataError(f"{file}: expected a tar file, found damage: {str(error)[:80]}") from error
        yield from _record(file, key, parts)


def _record(file: Path, key: str, parts: dict[str, bytes]) -> Iterator[Record]:
    """The picture of a key, if it has one."""
    label = parts.get(_CLASS)
    if label is not None and not label.strip().isdigit():
        raise DataError(f"{file}: expected a class number in '{key}.{_CLASS}', found {label[:20]!r}")
    for ending, data in parts.items():
        if ending != _CLASS:
            yield Record(f"{key}.{ending}", data, None if label is None else int(label))
            return
