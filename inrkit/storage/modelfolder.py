"""A trained model to hand on: one folder with its config, its averaged weights, and a card that people read.

    config.toml         the complete config, without the paths of the machine that trained
    model.safetensors   averaged weights
    README.md           the card; sheet.png, samples
    manifest.json       step, facts, figures; size and sha256 of each file, and its own

It opens as a run directory does, wherever one is asked for.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
from torch import Tensor

from inrkit.config.run import RunConfig
from inrkit.config.toml import to_toml, unstructure
from inrkit.errors import DataError, UsageError
from inrkit.plugins import load_plugins
from inrkit.storage import fileerror, sealed, tensorfile
from inrkit.storage.checkpoint import Checkpoint, clean_stale

FORMAT = "inrkit-model"
VERSION = 1
CONFIG, WEIGHTS, CARD, SHEET = "config.toml", "model.safetensors", "README.md", "sheet.png"
FILES = (CONFIG, WEIGHTS, CARD, SHEET, sealed.MANIFEST)

_SCHEME = re.compile(r"([a-z][a-z0-9-]*://)?(.*)", re.DOTALL)


def save_model(
    folder: Path,
    config: RunConfig,
    weights: Mapping[str, Tensor],
    texts: Mapping[str, bytes],
    *,
    step: int,
    meta: Mapping[str, Any],
) -> Path:
    """Write the folder, whole or not at all; only another model is replaced."""
    folder = folder.absolute()
    clean_stale(folder.parent, folder.name)
    if folder.exists() and not is_model(folder):
        raise UsageError(f"{folder}: expected a new folder, or one with a model to replace, found another; choose one")
    whole = {**texts, CONFIG: to_toml(unstructure(without_paths(config))).encode()}
    pieces = {name: (len(text), [text]) for name, text in whole.items()}
    with fileerror.disk_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
    contents = {**pieces, WEIGHTS: tensorfile.pieces(weights, what=WEIGHTS)}
    sealed.write(folder, contents, {"format": FORMAT, "version": VERSION, "step": step, "meta": dict(meta)})
    return folder


def is_model(folder: Path) -> bool:
    """Whether a folder claims to be one; nothing in it has been verified."""
    return (folder / CONFIG).is_file() and (folder / sealed.MANIFEST).is_file()


def load_model(folder: Path) -> Checkpoint:
    """What a checkpoint of its run would give, every byte verified; `DataError` for what was altered."""
    body = _manifest(folder)
    sealed.verify(folder, body["files"])
    weights = tensorfile.read(folder / WEIGHTS)
    return Checkpoint(folder, body["step"], {"model": weights, "ema": {}}, body["meta"], {})


def verify_config(folder: Path) -> None:
    """`DataError` where the config, which is read before the weights, was altered."""
    sealed.verify(folder, {CONFIG: _manifest(folder)["files"][CONFIG]})


def _manifest(folder: Path) -> dict[str, Any]:
    body = sealed.read_manifest(folder, FORMAT, VERSION, FILES.__contains__)
    if missing := {CONFIG, WEIGHTS} - body["files"].keys():
        raise DataError(f"{folder}: expected a manifest that names {', '.join(sorted(missing))}, found none")
    return body


def without_paths(config: RunConfig) -> RunConfig:
    """The config with the names of files and folders alone, for where they lay is nobody's business."""
    objective = load_plugins().objective
    return attrs.evolve(
        config,
        objective_options=_without_paths(objective(config.objective), config.objective_options),
        phases=tuple(attrs.evolve(p, options=_without_paths(objective(p.objective), p.options)) for p in config.phases),
        features_options=_of_features(config),
        data=_name(config.data),
        init=_name(config.init),
    )


def _of_features(config: RunConfig) -> dict[str, Any]:
    if config.features is None:
        return {}
    return _without_paths(load_plugins().feature(config.features).Options, config.features_options)


def _without_paths(options: type[attrs.AttrsInstance], table: Mapping[str, Any]) -> dict[str, Any]:
    paths = {field.name for field in attrs.fields(options) if field.metadata.get("path")}
    return {key: _name(value) if key in paths and value else value for key, value in table.items()}


def _name(path: str | None) -> str | None:
    """Of "files:///home/me/photos?size=32x32", "files://photos?size=32x32"."""
    if path is None or not (found := _SCHEME.fullmatch(path)):
        return path
    scheme, rest = found.groups()
    where, mark, query = rest.partition("?")
    return f"{scheme or ''}{Path(where).name}{mark}{query}"
