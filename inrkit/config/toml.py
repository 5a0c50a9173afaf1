"""Configuration: attrs classes to and from TOML, strictly, with errors that name the key.

A settings class is an attrs class with typed fields, defaults, validators and a help text per field:

>>> import attrs
>>> @attrs.frozen
... class Options:
...     width: int = attrs.field(default=64, metadata={"help": "channels of a hidden layer"})
...     lr: float = 1e-4
>>> structure(Options, {"lr": 1})
Options(width=64, lr=1.0)
>>> structure(Options, {"wdith": 3})
Traceback (most recent call last):
    ...
inrkit.errors.UsageError: config.toml: 'wdith': no such key; expected one of width, lr. Did you mean 'width'?
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import attrs

from inrkit.config import schema
from inrkit.config.overrides import apply_overrides as apply_overrides
from inrkit.config.overrides import plain
from inrkit.errors import UsageError

Settings = TypeVar("Settings")

_LARGEST, _DEEPEST = 1 << 20, 32
"""Bytes of a file, and parts of a key such as a.b.c, whose time and memory grow with their square."""


class Key(NamedTuple):
    """One line of the documentation of a settings class; a required key has ``default`` `attrs.NOTHING`."""

    key: str
    type: str
    default: Any
    help: str


def structure(
    cls: type[Settings], mapping: Mapping[str, Any], *, origin: str = "config.toml", table: str | None = None
) -> Settings:
    """An instance of the attrs class ``cls``; `UsageError` names the dotted key, what was expected and what was found.

    Keys that a nested table leaves out keep the value they have in the enclosing default. ``table`` is the key of the
    mapping, where it is a table of a config.
    """
    place = schema.Place(origin) if table is None else schema.Place.of_table(table)
    settings: Settings = schema.convert(cls, mapping, place)
    return settings


def unstructure(instance: Any) -> dict[str, Any]:
    """What TOML can hold, such that ``structure`` gives the instance back; None is left out where it is the default."""
    table: dict[str, Any] = plain(instance)
    return table


def parse_options(cls: type[Settings], texts: Sequence[str], *, origin: str) -> Settings:
    """An instance of an attrs class from "key=value" texts, such as ["size=32x32"], each typed by its field."""
    return structure(cls, apply_overrides(cls, {}, texts, origin=origin), origin=origin)


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file; `UsageError` where there is none, or it is malformed or no config of anybody's."""
    path = Path(path)
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise UsageError(f"{path}: expected an ordinary TOML file, found a folder, a pipe or a device")
        if (size := path.stat().st_size) > _LARGEST:
            raise UsageError(f"{path}: expected a TOML file of at most {_LARGEST:,} bytes, found {size:,}")
        return parse_toml(path.read_bytes(), origin=str(path))
    except OSError as error:
        raise UsageError(f"{path}: expected a readable TOML file, found: {error.strerror}") from error


def parse_toml(data: bytes, *, origin: str) -> dict[str, Any]:
    """The tables of a TOML text, which must not ask for more than it is large: keys have few parts."""
    try:
        text = data.decode()
        lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
        if any(part.count(".") >= _DEEPEST for line in lines for part in line.split(",")):
            raise UsageError(f"{origin}: expected keys of at most {_DEEPEST} parts, found a longer one")
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError and UnicodeDecodeError are ValueErrors
        raise UsageError(f"{origin}: expected TOML, found: {error}") from error


def to_toml(mapping: Mapping[str, Any]) -> str:
    """The mapping as TOML text, which ``read_toml`` would give back."""
    import tomli_w

    try:
        return tomli_w.dumps(mapping)
    except TypeError as error:
        raise UsageError(f"expected text, numbers, booleans, lists and tables, found: {error}") from error


def describe(cls: type, prefix: str = "", base: Any = None) -> list[Key]:
    """Every key with its type, default and help, nested tables after the key that holds them.

    ``prefix`` goes before the keys of a nested table, and ``base`` has its defaults.
    """
    rows = []
    for key, field in schema.fields_of(cls, base).items():
        default = field.default
        nested = next((kind for kind in _kinds(field.kind) if schema.is_settings(kind)), None)
        shown = default if default is None or default is attrs.NOTHING else plain(default)
        rows.append(Key(f"{prefix}{key}", schema.type_text(field.kind), shown, field.help))
        if nested is not None:
            in_list = any(map(schema.sequence_item, schema.some(field.kind)))
            rows += describe(nested, f"{prefix}{key}.N." if in_list else f"{prefix}{key}.", default)
    return rows


def difference(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """The dotted keys in which two configurations differ, sorted; 1 and 1.0 are the same, 1 and true are not."""
    left, right = dict(_leaves(a)), dict(_leaves(b))
    return sorted({".".join(key) for key in left.keys() | right.keys() if left.get(key) != right.get(key)})


def _kinds(kind: Any) -> Iterator[Any]:
    """The type itself and, for unions and lists, the types within."""
    yield kind
    for member in schema.union_members(kind):
        yield from _kinds(member)
    if item := schema.sequence_item(kind):
        yield from _kinds(item)


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """(path, text) of every scalar, the text telling types apart; None, as a key left out, gives nothing."""
    if isinstance(value, list | tuple):
        yield path, f"list of {len(value)}"
        value = dict(enumerate(value))
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _leaves(part, (*path, str(key)))
    elif value is not None:
        yield path, repr(int(value) if isinstance(value, float) and value.is_integer() else value)
