"""What can be refused of a run's config before torch is imported: names of plugins and presets, keys, and the values of
options, one by one.

Whether options fit each other, `inrkit.config.resolve` asks.
"""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from inrkit.config import schema
from inrkit.config.run import RunConfig
from inrkit.config.toml import apply_overrides, read_toml, structure
from inrkit.core.option import check_readout
from inrkit.core.size import Size
from inrkit.errors import UsageError, did_you_mean
from inrkit.plugins import load_plugins

TABLES = ("options", "objective_options", "readout_options", "features_options")
"""Keys whose tables are for other classes."""


def check_given(file: Path | None, flags: Mapping[str, Any], overrides: Sequence[str], modality: str) -> dict[str, Any]:
    """What the keys of a run are told by a file, flags and ``--set``; `UsageError` for what no run can have.

    ``modality`` is the one that is meant where none of them names one.
    """
    given, origin = ({}, "config") if file is None else (read_toml(file), str(file))
    values = {"modality": modality, **given, **flags}
    for text in overrides:
        table, dot, _ = text.partition(".")
        if not dot or table not in TABLES:
            values = apply_overrides(RunConfig, values, [text])
    config = structure(RunConfig, values, origin=origin)
    check_readout(config.readout)
    if config.network is not None:
        Size.named(config.network)
    registry = load_plugins()
    registry.entry("modality", config.modality)
    registry.entry("objective", config.objective)
    if config.features is not None:
        registry.entry("feature", config.features)
    for name in config.trackers:
        registry.entry("tracker", name)
    return values


def check_preset(modality: str, name: str, known: Iterable[str]) -> None:
    """`UsageError` where a modality has no preset of this name."""
    if name not in (names := list(known)):
        there = ", ".join(names) or "none"
        raise UsageError(f"'{modality}' has no preset '{name}'; there are {there}.{did_you_mean(name, names)}")


def check_table(name: str, cls: type, table: Mapping[str, Any], overrides: Sequence[str]) -> None:
    """`UsageError` for a key that this table of a config does not have, or a value that one of them cannot have.

    ``cls`` says what may stand in it, and its checks of one option by another are left out.
    """
    place = schema.Place.of_table(name)
    texts = [text.partition(".")[2] for text in overrides if text.startswith(f"{name}.")]
    values, fields = apply_overrides(cls, table, texts, name), schema.fields_of(cls)
    for key, value in values.items():
        if key not in fields:
            raise schema.unknown_key(cls, key, place)
        found = schema.convert(fields[key].kind, value, place / key, fields[key].default)
        attribute = attrs.fields_dict(cls)[fields[key].name]
        with contextlib.suppress(AttributeError, TypeError, ValueError):  # from a check that looks at other options too
            try:
                if attribute.validator is not None:
                    attribute.validator(None, attribute, found)
            except UsageError as error:
                raise UsageError(f"{place}: {error}") from error
