"""`--set key=value`: text that becomes a value by the type of the field it is meant for."""

import copy
import re
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import attrs

from inrkit.config import schema
from inrkit.config.schema import Place
from inrkit.errors import UsageError, did_you_mean

_INT = re.compile(r"[+-]?\d+(_\d+)*")


def apply_overrides(
    cls: type, mapping: Mapping[str, Any], texts: Sequence[str], under: str = "", origin: str = "--set"
) -> dict[str, Any]:
    """``mapping`` with each `a.b=text` put in, as values that TOML can hold; the mapping itself stays as it was.

    Text for a `str` stays text; `1,2,3` or `[1, 2, 3]` is a list, `{a = 1}` a table, `none` stands for None where the
    field allows it, and a number as key (`phases.0.steps=10`) is a place in a list. ``under`` is the
    key of the table that ``mapping`` is, and ``origin`` where the texts stand, for messages.
    """
    result: Any = copy.deepcopy(dict(mapping))
    for text in texts:
        key, equals, value = text.partition("=")
        names = key.strip().split(".")
        if not equals or not all(names):
            raise UsageError(f"{origin} {text}: expected key=value, found {text!r}")
        result = _put(cls, result, names, value, Place(origin, under), None, ())
    return dict(result)


def parse(kind: Any, text: str, place: Place) -> Any:
    """The text as a value that ``schema.convert`` accepts for ``kind``, or `UsageError`."""
    if members := schema.union_members(kind):
        if types.NoneType in members and text.strip().lower() == schema.NONE:
            return schema.NONE
        others = sorted(schema.some(kind), key=lambda member: member is str)
        return schema.first_that_fits(kind, others, text, place, lambda member: parse(member, text, place))
    if kind is str or kind is Path:
        value: Any = text
    elif kind is Any:
        value = _toml_value(text)
        return value if isinstance(value, bool | int | float | str | list | dict) else text
    elif typing.get_origin(kind) is Literal:
        value = next((option for option in typing.get_args(kind) if str(option).lower() == text.strip().lower()), text)
    elif schema.sequence_item(kind):
        value = _parse_sequence(kind, text, place)
    elif schema.is_settings(kind) or schema.mapping_value(kind) is not None:
        value = _toml_value(text)
        if not isinstance(value, Mapping):
            raise place.error("a table such as {a = 1}", text)
        return value
    else:
        value = _parse_number(kind, text.strip())
    schema.convert(kind, value, place)
    return value


def _put(kind: Any, value: Any, names: Sequence[str], text: str, place: Place, base: Any, beside: Iterable[str]) -> Any:
    """``value`` with the text at ``names`` below it; ``base`` is what stands there if the value is None.

    ``beside`` are the keys that stand where this one does.
    """
    if not names:
        return parse(kind, text, place)
    name, place_below = names[0], place / names[0]
    if len(some := schema.some(kind)) == 1:  # of `X | None` the X
        kind = some[0]
    if schema.is_settings(kind):
        fields = schema.fields_of(kind, base)
        if name not in fields:
            raise schema.unknown_key(kind, name, place)
        field, table = fields[name], _table(value, place)
        return {**table, name: _put(field.kind, table.get(name), names[1:], text, place_below, field.default, fields)}
    if item := schema.sequence_item(kind):
        items = list(value if value is not None else plain(base) if isinstance(base, list | tuple) else [])
        if not name.isdecimal() or int(name) >= len(items):
            places = f"a place from 0 to {len(items) - 1}" if items else "items first: the list is empty"
            raise UsageError(f"{place_below}: expected {places}, found '{name}'")
        items[int(name)] = _put(item, items[int(name)], names[1:], text, place_below, None, ())
        return items
    if kind is Any or schema.mapping_value(kind) is not None:
        values = Any if kind is Any else schema.mapping_value(kind)
        table = _table(value if value is not None else plain(base) if isinstance(base, Mapping) else None, place)
        return {**table, name: _put(values, table.get(name), names[1:], text, place_below, None, ())}
    expected = f"expected a key that ends here ({schema.type_text(kind)})"
    above = Place(place.origin, place.key.rpartition(".")[0])
    raise UsageError(f"{place}: {expected}, found '{name}' below it.{did_you_mean(name, beside, above.typed)}")


def plain(value: Any, base: Any = None) -> Any:
    """Settings as dicts, lists and scalars that TOML can hold.

    None is left out where ``schema.convert`` with the same ``base`` would put it, and is the text `none` elsewhere.
    """
    if attrs.has(type(value)):
        table = {}
        for key, field in schema.fields_of(type(value), base).items():
            part = getattr(value, field.name)
            if part is not None:
                table[key] = plain(part, field.default)
                if table[key] == schema.NONE and types.NoneType in schema.union_members(field.kind):
                    raise UsageError(
                        f"'{key}' cannot be the text '{schema.NONE}', which stands for no value; choose another"
                    )
            elif field.default is not None:
                table[key] = schema.NONE
        return table
    if isinstance(value, Mapping):
        if empty := [key for key, part in value.items() if part is None]:
            raise UsageError(f"expected values that TOML can hold, found None at '{empty[0]}'; leave the key out")
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        if any(part is None for part in value):
            raise UsageError(f"expected values that TOML can hold, found None in a list: {value!r}")
        return [plain(part) for part in value]
    return str(value) if isinstance(value, Path) else value


def _table(value: Any, place: Place) -> dict[str, Any]:
    if value is None or value == schema.NONE:
        return {}
    if not isinstance(value, Mapping):
        raise place.error("a table", value)
    return dict(value)


def _parse_sequence(kind: Any, text: str, place: Place) -> Any:
    if text.strip().startswith("["):
        return _toml_value(text)
    parts = [part.strip() for part in text.split(",")]
    if parts[-1] == "":
        parts.pop()
    kinds = typing.get_args(kind)
    if len(kinds) != len(parts) or Ellipsis in kinds:
        kinds = (schema.sequence_item(kind),) * len(parts)
    return [parse(each, part, place / index) for index, (each, part) in enumerate(zip(kinds, parts, strict=True))]


def _parse_number(kind: Any, text: str) -> Any:
    """An int, float or bool; the text itself where it is none, for ``convert`` to refuse."""
    try:
        if kind is int and _INT.fullmatch(text):
            return int(text)
        if kind is float and text.isascii():
            return float(text)
    except ValueError:
        return text
    return {"true": True, "false": False}.get(text.lower(), text) if kind is bool else text


def _toml_value(text: str) -> Any:
    """The value of one TOML expression; the text itself where it is none."""
    try:
        table = tomllib.loads(f"x = {text}")
    except (ValueError, RecursionError):
        return text
    return table["x"] if table.keys() == {"x"} else text
