"""What ``inrkit train`` was told, looked at before torch is imported."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from inrkit.cli import option, remembered
from inrkit.config.given import check_given, check_preset, check_table
from inrkit.config.run import RunConfig
from inrkit.config.toml import read_toml
from inrkit.errors import DataError, UsageError
from inrkit.plugins import load_plugins

_USUAL: Mapping[str, Any] = {key: attrs.fields_dict(RunConfig)[key].default for key in ("objective", "readout")}


def sized(sizes: Sequence[str]) -> tuple[str | None, str | None]:
    """The size of the network, by its name, and the resolution."""
    names, cells = [size for size in sizes if size.isalpha()], [size for size in sizes if not size.isalpha()]
    for size in cells:
        option.check_size(size)
    if max(len(names), len(cells)) > 1:
        raise UsageError(f"'--size' is one name and one resolution at most (got {', '.join(sizes)})")
    return next(iter(names), None), next(iter(cells), None)


def check_flags(minutes: float | None, steps: int | None, *, as_json: bool) -> None:
    """Flags that exclude each other."""
    if minutes is not None and steps is not None:
        raise UsageError("expected '--minutes' or '--steps', found both; leave one out")
    if as_json:
        raise UsageError("'--json' is for '--dry-run', found it alone; metrics.jsonl has the figures of a run")


def check_names(
    given: Mapping[str, Any],
    modality: str | None,
    preset: str | None,
    file: Path | None,
    sets: Sequence[str],
    *,
    fresh: bool,
) -> None:
    """What is misspelt, before torch is imported. Where a run or data say what the modality is, they know the rest."""
    named = {key: value for key, value in (("modality", modality), ("preset", preset)) if value is not None}
    values = check_given(file, {**given, **named}, sets, modality_of(file, given.get("data")))
    if modality is None and not fresh:
        return
    presets = remembered.facts("modality", values["modality"])["presets"]
    if "preset" in values:
        check_preset(values["modality"], values["preset"], presets)
    preset = values.get("preset", next(iter(presets), None))
    chosen = {**_USUAL, **presets.get(preset, {}), **values}
    known = {
        "options": remembered.settings("modality", values["modality"]),
        "objective_options": remembered.settings("objective", chosen["objective"]),
        "readout_options": remembered.readout(chosen["readout"]),
    }
    if "features" in values:
        known["features_options"] = remembered.settings("feature", values["features"])
    for name, cls in known.items():
        if cls is not None:
            check_table(name, cls, values.get(name, {}), sets)


def resolution(size: str | None, modality: str) -> list[str]:
    """A size such as 640x480, if there is one, as an option of the modality."""
    from inrkit.core.resolution import parse_size

    if size is None:
        return []
    cells = parse_size(size, getattr(load_plugins().modality(modality), "axes", 2))
    return [f"options.size={','.join(map(str, cells))}"]


def modality_of(config: Path | None, data: str | None) -> str:
    """What the config says, or else the data set; of synthetic signals, images."""
    from inrkit.storage.store import Store

    named = {} if config is None else read_toml(config)
    data = data or named.get("data")
    if "modality" in named or data is None or not Path(data).is_file():
        return str(named.get("modality", "image"))
    try:
        with Store(Path(data)) as store:
            return store.modality
    except DataError:  # files of another kind
        return "image"
