"""A settings class as JSON and back: what its fields accept, without the module that declares it.

What a field's type cannot say, and bounds do not, is left out: a check of other options, or one of a plugin's own.
"""

import functools
import operator
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import attrs

from inrkit.config import schema
from inrkit.config.overrides import plain
from inrkit.core.option import Bounds

_NAMED: Mapping[str, Any] = {
    **{kind.__name__: kind for kind in (bool, int, float, str, Path, list, tuple, dict, Sequence, Mapping)},
    "Any": Any,
    schema.NONE: types.NoneType,
    "...": ...,
}
_NAMES = {kind: name for name, kind in _NAMED.items()}


def described(cls: type) -> dict[str, Any]:
    """A settings class as JSON; `TypeError` or `KeyError` where it has what JSON cannot say."""
    fields = []
    for key, field in schema.fields_of(cls).items():
        check = attrs.fields_dict(cls)[field.name].validator
        fields.append(
            {
                "key": key,
                "kind": _described(field.kind),
                "default": [] if field.default is attrs.NOTHING else [plain(field.default)],
                "help": field.help,
                "bounds": attrs.astuple(check) if isinstance(check, Bounds) else None,
            }
        )
    return {"class": cls.__name__, "fields": fields}


def declared(description: Mapping[str, Any]) -> type:
    """The settings class that this describes."""
    fields = {}
    for field in description["fields"]:
        kind, bounds = _declared(field["kind"]), field["bounds"]
        place = schema.Place(field["key"])
        default = [schema.convert(kind, value, place) for value in field["default"]]
        fields[field["key"]] = attrs.field(
            type=kind,
            default=default[0] if default else attrs.NOTHING,
            metadata={"help": field["help"]},
            validator=None if bounds is None else Bounds(*bounds),
            kw_only=True,
        )
    return attrs.make_class(description["class"], fields, frozen=True)


def _described(kind: Any) -> Any:
    if members := schema.union_members(kind):
        return {"union": [_described(member) for member in members]}
    if typing.get_origin(kind) is Literal:
        return {"one of": list(typing.get_args(kind))}
    if schema.is_settings(kind):
        return described(kind)
    if origin := typing.get_origin(kind):
        return {"of": _NAMES[origin], "items": [_described(item) for item in typing.get_args(kind)]}
    return _NAMES[kind]


def _declared(kind: Any) -> Any:
    if isinstance(kind, str):
        return _NAMED[kind]
    if "union" in kind:
        return functools.reduce(operator.or_, map(_declared, kind["union"]))
    if "one of" in kind:
        return Literal[tuple(kind["one of"])]
    if "fields" in kind:
        return declared(kind)
    return _NAMED[kind["of"]][tuple(_declared(item) for item in kind["items"])]
