"""Settings as attrs classes: what their fields accept, and strict conversion of plain values into them.

Nothing is coerced but a whole number where a number is wanted: `"false"` is not a boolean, `true` is not 1, and 1.9 is
not a number of steps. TOML has no null: for a field that may be None, the text `none` stands for it.
"""

import types
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Union

import attrs

from inrkit.errors import UsageError, did_you_mean

NONE = "none"
_LISTED = 12  # keys that are all named although one of them is near
_FACTORY: Any = type(attrs.Factory(list))  # the class behind the function that attrs declares


@attrs.frozen
class Place:
    """Where a value stands, for messages: `config.toml: 'optimizer.lr'`.

    Args:
        origin: A file, a flag, or a table of a config.
        key: Below the origin.
        table: The key that the origin is, of a table.
    """

    origin: str
    key: str = ""
    table: str = ""

    @classmethod
    def of_table(cls, name: str) -> "Place":
        """A table of a config, such as ``options``."""
        return cls(name, table=name)

    def __truediv__(self, name: object) -> "Place":
        return attrs.evolve(self, key=f"{self.key}.{name}" if self.key else str(name))

    def typed(self, name: str) -> str:
        """A name below this place as ``--set`` takes it: `options.width`."""
        return ".".join(filter(None, (self.table, self.key, name)))

    def __str__(self) -> str:
        return f"{self.origin}: '{self.key}'" if self.key else self.origin

    def error(self, expected: str, found: Any) -> UsageError:
        """The error of a wrong value, which is quoted with its type as far as it fits into a line."""
        return UsageError(f"{self}: expected {expected}, found {repr(found)[:60]} ({type(found).__name__})")


@attrs.frozen
class Field:
    """One field of a settings class: its key, type, default (`attrs.NOTHING` if required) and help text."""

    key: str
    name: str
    kind: Any
    default: Any
    help: str


def fields_of(cls: type, base: Any = None) -> dict[str, Field]:
    """The fields that can be set, by key; their defaults are the values of ``base``, if that is of the class."""
    hints, base = typing.get_type_hints(cls), base if type(base) is cls else None
    return {
        f.alias: Field(f.alias, f.name, hints.get(f.name, f.type), _default(f, base), f.metadata.get("help", ""))
        for f in attrs.fields(cls)
        if f.init
    }


def convert(kind: Any, value: Any, place: Place, base: Any = None) -> Any:
    """``value`` as an instance of ``kind``, or `UsageError` naming the place, what was expected and what was found.

    ``base`` is the settings object whose values stand for keys that a table leaves out.
    """
    if kind is Any:
        return value
    if members := union_members(kind):
        if types.NoneType in members and (value is None or value == NONE):
            return None
        return first_that_fits(kind, some(kind), value, place, lambda member: convert(member, value, place, base))
    if is_settings(kind):
        return _convert_settings(kind, value, place, base)
    if item := sequence_item(kind):
        return _convert_sequence(kind, item, value, place)
    if (values := mapping_value(kind)) is not None:
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise place.error("a table", value)
        return {key: convert(values, part, place / key) for key, part in value.items()}
    return _convert_scalar(kind, value, place)


def union_members(kind: Any) -> tuple[Any, ...]:
    """The members of `A | B`, else nothing."""
    return typing.get_args(kind) if typing.get_origin(kind) in (Union, types.UnionType) else ()


def some(kind: Any) -> list[Any]:
    """The members of a union but None; of another type itself."""
    return [member for member in union_members(kind) or (kind,) if member is not types.NoneType]


def first_that_fits(kind: Any, members: Sequence[Any], value: Any, place: Place, attempt: Callable[[Any], Any]) -> Any:
    """What ``attempt`` makes of the first of these members of a union that it does not refuse."""
    for member in members:
        try:
            return attempt(member)
        except UsageError:
            if len(members) == 1:
                raise
    raise place.error(type_text(kind), value)


def is_settings(kind: Any) -> bool:
    """Whether the type is an attrs class, a table of its own."""
    return isinstance(kind, type) and attrs.has(kind)


def sequence_item(kind: Any) -> Any:
    """The type of the items of a list or tuple (of the first one, if they differ), else None."""
    is_sequence = (typing.get_origin(kind) or kind) in (list, tuple, Sequence)
    return (*typing.get_args(kind), Any)[0] if is_sequence else None


def mapping_value(kind: Any) -> Any:
    """The type of the values of a dict with text keys, else None."""
    is_mapping = (typing.get_origin(kind) or kind) in (dict, Mapping)
    return (*typing.get_args(kind), Any, Any)[1] if is_mapping else None


def type_text(kind: Any) -> str:
    """A type as help texts and errors show it: `int`, `float or none`, `list of float`, `'a' or 'b'`, `table`."""
    if members := union_members(kind):
        return " or ".join(type_text(member) for member in members)
    if typing.get_origin(kind) is Literal:
        return " or ".join(repr(option) for option in typing.get_args(kind))
    if kind is types.NoneType:
        return NONE
    if kind is Any:
        return "any value"
    if is_settings(kind) or mapping_value(kind) is not None:
        return "table"
    if length := _fixed_length(kind):
        return f"list of {length}: {', '.join(type_text(item) for item in typing.get_args(kind))}"
    if item := sequence_item(kind):
        return f"list of {type_text(item)}"
    return "path" if kind is Path else kind.__name__


def unknown_key(cls: type, name: str, place: Place) -> UsageError:
    """The error of a key that is not there, with the nearest that is."""
    known = fields_of(cls)
    deeper = [
        f"{key}.{name}" for key, field in known.items() if is_settings(field.kind) and name in fields_of(field.kind)
    ]
    hint = f" Did you mean '{place.typed(deeper[0])}'?" if deeper else did_you_mean(name, known, place.typed)
    names = f"; expected one of {', '.join(known)}" if len(known) <= _LISTED or not hint else ""
    return UsageError(f"{place / name}: no such key{names}.{hint}")


def _default(attribute: Any, base: Any) -> Any:
    if base is not None:
        return getattr(base, attribute.name)
    if isinstance(default := attribute.default, _FACTORY):
        return attrs.NOTHING if default.takes_self else default.factory()
    return default


def _convert_settings(cls: type, value: Any, place: Place, base: Any) -> Any:
    if isinstance(value, cls):
        return value
    if not isinstance(value, Mapping):
        raise place.error("a table", value)
    fields = fields_of(cls, base)
    if unknown := [key for key in value if key not in fields]:
        raise unknown_key(cls, str(unknown[0]), place)
    arguments = {}
    for key, field in fields.items():
        if key in value:
            arguments[key] = convert(field.kind, value[key], place / key, field.default)
        elif type(base) is cls:
            arguments[key] = field.default
        elif attrs.fields_dict(cls)[field.name].default is attrs.NOTHING:
            raise UsageError(f"{place / key}: expected {type_text(field.kind)}, found nothing; it has no default")
    try:
        return cls(**arguments)
    except UsageError as error:
        raise UsageError(f"{place}: {error}") from error
    except (ValueError, TypeError) as error:  # what attrs' validators raise; the first argument is their message
        raise UsageError(f"{place}: {error.args[0] if error.args else error}") from error


def _fixed_length(kind: Any) -> int:
    arguments = typing.get_args(kind) if typing.get_origin(kind) is tuple else ()
    return 0 if Ellipsis in arguments else len(arguments)


def _convert_sequence(kind: Any, item: Any, value: Any, place: Place) -> Any:
    length = _fixed_length(kind)
    if not isinstance(value, list | tuple) or (length and len(value) != length):
        raise place.error(type_text(kind), value)
    kinds = typing.get_args(kind) if length else (item,) * len(value)
    items = [convert(each, part, place / index) for index, (each, part) in enumerate(zip(kinds, value, strict=True))]
    return items if (typing.get_origin(kind) or kind) is list else tuple(items)


def _convert_scalar(kind: Any, value: Any, place: Place) -> Any:
    if typing.get_origin(kind) is Literal:
        if not any(type(value) is type(option) and value == option for option in typing.get_args(kind)):
            raise place.error(type_text(kind), value)
        return value
    if kind is float and type(value) in (int, float):
        try:
            return float(value)
        except OverflowError as error:
            raise place.error("float", value) from error
    if kind is Path and isinstance(value, str | Path):
        return Path(value)
    if kind not in (bool, int, float, str, Path, types.NoneType):
        raise TypeError(f"{place}: settings cannot have fields of type {kind}")
    if type(value) is not kind:
        raise place.error(type_text(kind), value)
    if kind is str and any("\ud800" <= letter <= "\udfff" for letter in value):  # halves of surrogate pairs
        raise place.error("text that can be written as UTF-8", value)
    return value
