"""The JSON Schema of a config: with it editors complete keys, show what they mean, and underline mistakes."""

import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import attrs

from inrkit.config.resolve import Resolved
from inrkit.config.run import RunConfig
from inrkit.config.schema import (
    NONE,
    fields_of,
    is_settings,
    mapping_value,
    sequence_item,
    union_members,
)
from inrkit.config.toml import unstructure
from inrkit.core.noise import READOUTS
from inrkit.plugins import load_plugins

_SCALARS = {bool: "boolean", int: "integer", float: "number", str: "string", Path: "string"}


def config_schema(resolved: Resolved) -> dict[str, Any]:
    """Of config files with the modality, objective and read-out of this config. No key is required in a file."""
    config, registry = resolved.config, load_plugins()
    tables = {
        "options": type(resolved.modality).Options,
        "objective_options": registry.objective(config.objective),
        "readout_options": READOUTS[config.readout],
    }
    schema = _table(RunConfig)
    schema["properties"] |= {key: _described(_table(cls), RunConfig, key) for key, cls in tables.items()}
    schema["properties"]["modality"]["enum"] = [config.modality]
    schema["properties"]["objective"]["enum"] = list(registry.objectives)
    schema["properties"]["readout"]["enum"] = list(READOUTS)
    title = f"inrkit: {config.modality}, {config.objective}"
    return {"$schema": "http://json-schema.org/draft-07/schema#", "title": title, **schema}


def _table(cls: type) -> dict[str, Any]:
    fields = fields_of(cls)
    properties = {key: _described(_kind(field.kind), cls, key) for key, field in fields.items()}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _described(schema: Mapping[str, Any], cls: type, key: str) -> dict[str, Any]:
    """With the help text of a field, and its default."""
    field = fields_of(cls)[key]
    help = {"description": field.help} if field.help else {}
    plain = NONE if field.default is None else unstructure(field.default)
    return {**schema, **help, **({} if field.default is attrs.NOTHING or plain == {} else {"default": plain})}


def _kind(kind: Any) -> dict[str, Any]:
    """A type as JSON Schema."""
    if members := union_members(kind):
        return {"anyOf": [_kind(member) for member in members]}
    if kind is types.NoneType:
        return {"const": NONE}
    if typing.get_origin(kind) is Literal:
        return {"enum": list(typing.get_args(kind))}
    if is_settings(kind):
        return _table(kind)
    if (values := mapping_value(kind)) is not None:
        return {"type": "object", "additionalProperties": _kind(values)}
    if item := sequence_item(kind):
        return {"type": "array", "items": _kind(item)}
    return {"type": _SCALARS[kind]} if kind in _SCALARS else {}
