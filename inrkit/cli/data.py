"""``inrkit data``: from the layouts people keep their data in to a store, and what a store holds."""

import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from inrkit.cli import option, remembered
from inrkit.cli.failure import as_flags
from inrkit.cli.help import Command, Folding
from inrkit.cli.output import bar, note, say, say_json, shown, shown_bytes
from inrkit.cli.table import Table, say_result
from inrkit.config import overrides, schema
from inrkit.errors import InrkitError, UsageError
from inrkit.plugins import load_plugins

if TYPE_CHECKING:
    from inrkit.drawing.layout import Layout

_ON_SHEET = 32


@click.group()
def data() -> None:
    """Import, describe and verify data sets.

    \b
      inrkit data import images ~/photos -o photos.h5 --size 64x64
      inrkit data info photos.h5
      inrkit data verify photos.h5

    A data set is one file, called a store, which 'inrkit train --data FILE' reads. It is written once and carries a
    SHA-256 hash.
    """


class Formats(Folding, click.Group):
    """The importers that plugins offer, as commands; an importer is imported when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(load_plugins().importers)

    def get_command(self, ctx: click.Context, name: str) -> click.Command:
        found = remembered.facts("importer", name)

        def importer() -> Any:
            return load_plugins().importer(name)

        settings = remembered.settings("importer", name) or importer().Options
        return command_of(name, found["summary"], found["modality"], settings, importer)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[1:] and not args[1].startswith("-"):  # before the importer, and torch with it, is imported
            load_plugins().entry("importer", args[0])
            option.check_file(Path(args[1]))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, f"{entry.summary} ({entry.plugin})") for name, entry in load_plugins().importers.items()]
        with formatter.section("Formats"):
            formatter.write_dl(rows or [("(none)", "no plugin offers an importer; see 'inrkit plugins list'")])


@data.group(
    "import",
    cls=Formats,
    short_help="Import files of a known format into a store.",
    subcommand_metavar="FORMAT SOURCE -o OUT [OPTIONS]",
)
def import_() -> None:
    """Import SOURCE, files in the given FORMAT, into one store OUT.

    \b
      inrkit data import images ~/photos -o photos.h5
      inrkit data import images ~/photos -o photos.h5 --size 64x64 --skip-broken
      inrkit data import images --help            the flags of a format
    """


_METAVARS = {"size": "WxH", "split_file": "FILE", "inside": "FOLDER", "column": "NAME", "label_column": "NAME"}
_OF_TYPES = {int: "N", float: "X", Path: "FILE"}


class Typed(click.ParamType):  # type: ignore[type-arg]  # generic in the newest click alone
    """A value of an options field, read as ``--set`` reads it."""

    def __init__(self, field: schema.Field) -> None:
        self.field, self.name = field, schema.type_text(field.kind)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        place = schema.Place(_flag(self.field.key))
        return schema.convert(self.field.kind, overrides.parse(self.field.kind, value, place), place)


def _flag(key: str) -> str:
    return "--" + key.replace("_", "-")


def _option(field: schema.Field) -> click.Option:
    """The flag of a field; a flag that is not given is None, and its field keeps its default."""
    flag, text = _flag(field.key), f"{field.help or field.key} [default: {_text(field.default)}]"
    kinds = schema.some(field.kind)
    if kinds == [bool]:
        other = f"/--no-{flag[2:]}" if field.default else ""
        return click.Option([f"{flag}{other}", field.key], is_flag=True, default=None, help=text)
    choices = typing.get_args(kinds[0])
    if len(kinds) == 1 and typing.get_origin(kinds[0]) is typing.Literal and all(type(o) is str for o in choices):
        return click.Option([flag, field.key], type=option.Choice(choices), help=text)
    short = ["-n"] if field.key == "limit" else []  # as in all commands
    return click.Option([*short, flag, field.key], type=Typed(field), metavar=_metavar(field, kinds), help=text)


def _metavar(field: schema.Field, kinds: Sequence[Any]) -> str:
    """What stands for the value in help, as other commands have it."""
    if field.key in _METAVARS:
        return _METAVARS[field.key]
    each = [
        ",".join(_OF_TYPES.get(item, "TEXT") for item in typing.get_args(kind) if item is not ...) or "TEXT"
        if typing.get_origin(kind) is tuple
        else _OF_TYPES.get(kind, "TEXT")
        for kind in kinds
    ]
    return "|".join(dict.fromkeys(each))


def _text(default: Any) -> str:
    if isinstance(default, bool):
        return "yes" if default else "no"
    if isinstance(default, tuple | list):
        return ",".join(map(str, default)) or "none"
    return "none" if default is None else str(default)


def command_of(name: str, summary: str, modality: str, settings: type, find: Callable[[], type[Any]]) -> click.Command:
    """One importer as a command whose flags are the fields of its settings; the importer is found when it is run."""
    fields = schema.fields_of(settings)

    def run(source: Path, out: Path, overwrite: bool, **flags: Any) -> None:
        given, place = {key: value for key, value in flags.items() if value is not None}, schema.Place("options")
        schema.convert(settings, given, place)  # before the importer, and torch with it, is imported
        importer = find()
        options = schema.convert(importer.Options, given, place)
        try:
            _import(importer, source, out, options, overwrite=overwrite)
        except InrkitError as error:  # of the importer, which knows fields and no flags
            raise type(error)(as_flags(str(error), fields)) from error

    call = f"inrkit data import {name}"
    command = Command(
        name,
        callback=run,
        help=f"{summary[:1].upper()}{summary[1:]}, as a store for the modality '{modality}'.\n\n\b\n"
        f"  {call} SOURCE -o data.h5\n  {call} SOURCE -o data.h5 --overwrite\n  inrkit train --data data.h5",
        params=[click.Argument(["source"], type=option.PATH), *(_option(field) for field in fields.values())],
    )
    written = option.out("Store to write, such as data.h5.", required=True, dir_okay=False)(command)
    replaced: click.Command = click.option("--overwrite", is_flag=True, help="Replace OUT if it exists.")(written)
    return replaced


def _import(importer: type[Any], source: Path, out: Path, options: Any, *, overwrite: bool) -> None:
    from inrkit.storage.store import Store
    from inrkit.storage.storewriter import StoreWriter

    if out.exists() and not overwrite:
        raise UsageError(f"{out}: expected a new file, found an existing one; choose another, or give --overwrite")
    if not out.parent.is_dir():
        raise UsageError(f"{out}: expected to write into an existing folder, found none at {out.parent}; make it first")
    with bar(f"reading {source}") as progress, StoreWriter(out, importer.modality, overwrite=overwrite) as writer:
        importer().run(source, writer, options, progress)
    for line in writer.skipped[:20]:
        note(f"skipped {line}")
    if len(writer.skipped) > 20:
        note(f"skipped {len(writer.skipped) - 20} more")
    for line in writer.remarks[:20]:
        note(line)
    store = Store(out)
    arrays = ", ".join(f"{name} {'x'.join(map(str, store.shape(name)))}" for name in store.names)
    say(f"{out}: {len(store)} items for '{store.modality}', {shown_bytes(out.stat().st_size)}: {arrays}")
    if writer.skipped:
        say(f"{len(writer.skipped)} skipped")


@data.command(cls=Command, short_help="Show what a store contains.")
@option.file
@option.layout(
    rows=False,
    sheet="Also show the first training signals, as a run sees them, on a sheet: .pdf, .svg or .png. [default: none]",
)
@option.table
@option.as_json
def info(file: Path, as_json: bool, layout: "Layout") -> None:
    """Show what a store contains: its arrays, their shapes, where they came from, and what it looks like.

    \b
      inrkit data info photos.h5
      inrkit data info photos.h5 --sheet photos.png
      inrkit data info photos.h5 --json
      inrkit data info photos.h5 --table photos.tex
    """
    option.check_for_sheet(layout)
    from inrkit.storage.store import Store, ranges

    with Store(file) as store, bar(f"reading {file}") as progress:
        arrays: dict[str, dict[str, Any]] = {}
        for name, found in ranges(store, progress).items():
            spread = dict(zip(("low", "high", "mean"), found, strict=True))
            arrays[name] = {"shape": list(store.shape(name)), "dtype": str(store.dtype(name)), **spread}
        facts: dict[str, Any] = {
            "file": str(file),
            "modality": store.modality,
            "items": len(store),
            "held_out": _held_out(file, store.modality),
            "bytes": file.stat().st_size,
            "sha256": store.sha256,
            "arrays": arrays,
            "attributes": store.attributes,
        }
    rows = [[key.replace("_", " "), facts[key]] for key in ("file", "modality", "items", "held_out")]
    rows += [["size", shown_bytes(facts["bytes"])], ["sha256", facts["sha256"]]]
    for name, a in arrays.items():
        said = f"from {_number(a['low'])} to {_number(a['high'])}, mean {_number(a['mean'])}"
        rows.append([f"array {name}", f"{'x'.join(map(str, a['shape']))} {a['dtype']}, {said}"])
    rows += [[key, _brief(shown(value))] for key, value in facts["attributes"].items() if key[0] != "_"]
    sheet = None if layout.path is None else _sheet(file, facts["modality"], layout)
    say_result(facts, [Table(["what", ""], rows)], as_json=as_json)
    if sheet is not None:
        note(str(sheet))


def _sheet(file: Path, modality: str, layout: "Layout") -> Path:
    """The first training signals."""
    from inrkit.drawing.sheet import save_sheet
    from inrkit.report.dataset import pictures_of_data

    with bar("drawing"):
        pictures = pictures_of_data(file, load_plugins().modality(modality), layout.count(_ON_SHEET))
        (path,) = save_sheet({"": pictures}, layout, None)
    return path


def _number(x: float) -> str:
    return f"{x:,.0f}" if abs(x) >= 1000 else f"{x:.4g}"


def _brief(text: str) -> str:
    """The beginning of a text that is too long to read, such as weights in base64."""
    return text if len(text) <= 400 else f"{text[:60]}... ({len(text):,} letters in all)"


def _held_out(file: Path, modality: str) -> int | None:
    """How many signals training never sees; None where no installed modality can say."""
    try:
        cls = load_plugins().modality(modality)
        return len(cls(cls.Options()).source(file, "test"))
    except InrkitError:
        return None


@data.command(cls=Command, short_help="Verify a store's hash and read all of it.")
@option.file
@option.as_json
def verify(file: Path, as_json: bool) -> None:
    """Verify a store's hash and read all of it; exit code 3 if anything is wrong.

    \b
      inrkit data verify photos.h5
      inrkit data verify photos.h5 --json
      inrkit data verify photos.h5 && echo whole
    """
    from inrkit.storage.store import verify_store

    with bar(f"verifying {file}") as progress:
        summary = verify_store(file, progress)
    if as_json:
        say_json({"file": str(file), **summary})
    else:
        say(f"{file}: whole; {summary['items']} items, {shown_bytes(summary['bytes'])}, sha256 {summary['sha256']}")
