"""Tables with a column of pictures: parquet files, and data sets as Hugging Face's `datasets` leaves them on a disk."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, final

import attrs

from inrkit import DataError, UsageError, option
from inrkit_image.formats.records import Record, RecordOptions, RecordsImporter

_ROWS = 64  # at a time
_LABELS = ("label", "labels", "class")


@final
@attrs.frozen(kw_only=True)
class TableOptions(RecordOptions):
    """Tables with a column of pictures."""

    column: str | None = option(None, "column of the images; by default the only one that holds bytes")
    label_column: str | None = option(None, "column of the classes; by default 'label', 'labels' or 'class'")


@final
class ParquetImporter(RecordsImporter):
    """Rows of parquet and arrow files, whose pictures are image files as bytes, alone or beside a path (`datasets`).

    A picture that is only named by its path lies somewhere else, and is refused.
    """

    name, summary = "parquet", "parquet or arrow files with a column of images; a local Hugging Face data set"
    suffixes = (".parquet", ".arrow")
    Options = TableOptions

    def records(self, file: Path, options: RecordOptions) -> Iterator[Record]:
        assert isinstance(options, TableOptions)
        schema = _schema(file)
        column, label = _images(file, schema, options.column), _label(file, schema, options)
        row = 0
        for batch in _batches(file, [column] if label is None else [column, label]):
            labels = [None] * batch.num_rows if label is None else batch.column(label).to_pylist()
            for value, known in zip(batch.column(column).to_pylist(), labels, strict=True):
                data = value.get("bytes") if isinstance(value, dict) else value
                if data is None:
                    found = "a path, which is not followed; embed the images" if value else "nothing"
                    raise DataError(f"{file}: expected the bytes of an image in row {row} of '{column}', found {found}")
                yield Record(f"row {row} of '{column}'", data, known)
                row += 1

    def class_names(self, file: Path, options: RecordOptions) -> Sequence[str]:
        """As `datasets` writes them beside the columns."""
        assert isinstance(options, TableOptions)
        schema = _schema(file)
        try:
            features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
            return [str(name) for name in features[_label(file, schema, options)]["names"]]
        except (KeyError, TypeError, ValueError):
            return ()


def _arrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        command = 'pip install "inrkit[parquet]"'
        raise UsageError(f"parquet and arrow files need pyarrow, which is not installed; run: {command}") from error
    return pyarrow


def _schema(file: Path) -> Any:
    arrow = _arrow()
    try:
        if file.suffix == ".parquet":
            return arrow.parquet.read_schema(file)
        with arrow.memory_map(str(file)) as opened:
            return _reader(arrow, opened).schema
    except (arrow.ArrowException, OSError, ValueError) as error:
        raise _damage(file, error) from error


def _batches(file: Path, columns: list[str]) -> Iterator[Any]:
    """The rows, some at a time."""
    arrow = _arrow()
    try:
        if file.suffix == ".parquet":
            with arrow.parquet.ParquetFile(file) as table:
                yield from table.iter_batches(batch_size=_ROWS, columns=columns)
            return
        with arrow.memory_map(str(file)) as opened:
            reader = _reader(arrow, opened)
            count = getattr(reader, "num_record_batches", None)
            whole = reader if count is None else (reader.get_batch(i) for i in range(count))
            for batch in whole:
                yield from (batch.slice(start, _ROWS) for start in range(0, batch.num_rows, _ROWS))
    except (arrow.ArrowException, OSError, ValueError) as error:
        raise _damage(file, error) from error


def _reader(arrow: Any, opened: Any) -> Any:
    """A stream, as `datasets` writes it, or a file of arrow."""
    try:
        return arrow.ipc.open_stream(opened)
    except arrow.ArrowInvalid:
        opened.seek(0)
        return arrow.ipc.open_file(opened)


def _damage(file: Path, error: Exception) -> DataError:
    found = " ".join(str(error).split())[:120]
    return DataError(f"{file}: expected a {file.suffix[1:]} file, found damage: {found}")


def _images(file: Path, schema: Any, asked: str | None) -> str:
    """The column of the images."""
    types = _arrow().types

    def holds_bytes(kind: Any) -> bool:
        if types.is_struct(kind):
            return any(field.name == "bytes" and holds_bytes(field.type) for field in kind)
        return bool(types.is_binary(kind) or types.is_large_binary(kind))

    there = ", ".join(f"{field.name} ({str(field.type)[:30]})" for field in schema) or "none"
    found = [field.name for field in schema if holds_bytes(field.type)]
    if asked is not None and asked not in found:
        what = "no such column" if asked not in schema.names else "that it holds none"
        raise DataError(f"{file}: expected a column '{asked}' of images as bytes, found {what}; columns: {there}")
    if asked is None and len(found) != 1:
        hint = "choose one by --column" if found else "keep each picture as the bytes of its file"
        raise DataError(f"{file}: expected one column of images as bytes, found {len(found)} ({there}); {hint}")
    return asked or found[0]


def _label(file: Path, schema: Any, options: TableOptions) -> str | None:
    """The column of the classes."""
    types, asked = _arrow().types, options.label_column
    if options.labels == "none":
        return None
    for name in _LABELS if asked is None else (asked,):
        if name in schema.names:
            kind = schema.field(name).type
            if types.is_integer(kind) or types.is_string(kind) or types.is_large_string(kind):
                return name
            raise DataError(f"{file}: expected class numbers or names in the column '{name}', found {kind}")
    if asked is not None:
        raise DataError(f"{file}: expected a column '{asked}', found none; columns: {', '.join(schema.names)}")
    return None
