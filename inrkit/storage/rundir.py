"""The run directory: `config.toml`, `checkpoints/`, `metrics.jsonl`, `samples/`, `report.html`, and a lock."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import attrs

from inrkit.config.run import MACHINE, RunConfig
from inrkit.config.toml import difference, parse_toml, read_toml, structure, to_toml, unstructure
from inrkit.errors import DataError, UsageError
from inrkit.storage import atomic, fileerror
from inrkit.storage.checkpoint import clean_stale, list_checkpoints
from inrkit.storage.modelfolder import is_model, verify_config
from inrkit.storage.runlock import RunLock

STOPPED = "stopped.json"
"""In the directory of a run that was stopped early."""


@final
class RunDirectory:
    """``with RunDirectory(path) as folder:`` makes the directory and holds its lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.toml"
        self.checkpoints = path / "checkpoints"
        self._lock = RunLock(path)

    def __enter__(self) -> "RunDirectory":
        with fileerror.disk_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        self._lock.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def admit(self, config: RunConfig, *, extend: bool = False) -> None:
        """Writes the config, or compares it with the one that is there; clears what a killed run left unfinished.

        ``extend`` allows another number of steps. Keys that do not change what is computed may always differ, and
        while there is no checkpoint there is nothing that another config could spoil.
        """
        if self.config.exists() and list_checkpoints(self.checkpoints):
            before = read_config(self.path)
            changed = changed_keys(before, config)
            if extend and changed == ["steps"]:
                changed = []
                atomic.write_text(self.config, to_toml(unstructure(config)))
            if changed:
                more = changed == ["steps"] and config.steps > before.steps
                hint = "give 'extend' to train on" if more else "give the same values to resume it"
                raise UsageError(
                    f"{self.path}: the run there has another config: {', '.join(changes(before, config))}; "
                    f"{hint}, or choose another directory"
                )
        else:
            atomic.write_text(self.config, to_toml(unstructure(config)))
        with fileerror.disk_errors(self.checkpoints):
            self.checkpoints.mkdir(exist_ok=True)
        clean_stale(self.path)
        clean_stale(self.checkpoints)


def read_config(run: Path) -> RunConfig:
    """The config of a run directory, or of a saved model, where it must be the one that was saved."""
    if not (run / "config.toml").is_file():
        found = f"found none; train one first{fileerror.neighbour(run)}"
        raise DataError(f"{run}: expected a run directory with a config.toml, {found}")
    if is_model(run):
        verify_config(run)
    return structure(RunConfig, read_toml(run / "config.toml"), origin=str(run / "config.toml"))


def check_config(run: Path, trained: str) -> None:
    """`DataError` where a run's config.toml is no longer the one, as TOML, that its checkpoint was trained by.

    The number of steps may have been extended since.
    """
    old = structure(
        RunConfig, parse_toml(trained.encode(), origin="the checkpoint's config"), origin="the checkpoint's config"
    )
    if changed := changes(old, attrs.evolve(read_config(run), steps=old.steps)):
        path = run / "config.toml"
        raise DataError(f"{path}: expected the config that the checkpoint was trained by, found {'; '.join(changed)}")


def changes(old: RunConfig, new: RunConfig) -> list[str]:
    """Each changed key with both values: "options.width 384, now 256"."""
    before, now = unstructure(old), unstructure(new)
    return [f"{key} {_value(before, key)}, now {_value(now, key)}" for key in changed_keys(old, new)]


def _value(table: Any, key: str) -> str:
    for part in key.split("."):
        if isinstance(table, list):
            table = table[int(part)] if int(part) < len(table) else None
        else:
            table = table.get(part) if isinstance(table, Mapping) else None
    return "unset" if table is None else str(table)


def changed_keys(old: RunConfig, new: RunConfig) -> list[str]:
    """The keys whose values would make another run."""
    free = {name: getattr(old, name) for name in MACHINE}
    return difference(unstructure(old), unstructure(attrs.evolve(new, **free)))
