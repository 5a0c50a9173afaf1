"""What can be set, remembered from the last time that its module was imported: mistakes are answered without torch.

It is kept in the cache folder, anew whenever a file of the package changes.
"""

import contextlib
import functools
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from inrkit.config.described import declared, described
from inrkit.config.toml import parse_options
from inrkit.errors import InrkitError
from inrkit.plugins import GROUP, load_plugins
from inrkit.plugins.registry import KINDS
from inrkit.storage.atomic import sha256, write_text
from inrkit.storage.cache import cache_folder

_FILE = "settings.json"
_OF_PRESETS = ("summary", "objective", "readout")


def settings(kind: str, name: str) -> type | None:
    """The attrs class of what can be set for something that plugins offer; None where it cannot be remembered."""
    found = facts(kind, name)["settings"]
    return None if found is None else declared(found)


def facts(kind: str, name: str) -> Mapping[str, Any]:
    """``settings`` as `described`; of a modality ``presets``, of an importer ``modality`` and ``summary``."""
    entry = load_plugins().entry(kind, name)
    return kept(f"{kind} {name}", [entry.target], lambda: _facts(kind, getattr(load_plugins(), kind)(name)))


def check_options(kind: str, name: str, texts: Sequence[str]) -> None:
    """`UsageError` where something that plugins offer does not take what ``--set`` says."""
    if (cls := settings(kind, name)) is not None:
        parse_options(cls, texts, origin="--set")


def readout(name: str) -> type | None:
    """The attrs class of what can be set for a read-out."""

    def find() -> dict[str, Any]:
        from inrkit.core.noise import readout_class

        return {"settings": _described(readout_class(name))}

    found = kept(f"readout {name}", ["inrkit.core.noise"], find)["settings"]
    return None if found is None else declared(found)


def _facts(kind: str, cls: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"settings": _described(KINDS[kind].settings(cls))}
    if kind == "modality":
        found["presets"] = {
            name: {key: preset[key] for key in _OF_PRESETS if key in preset} for name, preset in cls.presets.items()
        }
    if kind == "importer":
        found |= {"modality": cls.modality, "summary": cls.summary}
    return found


def _described(cls: type | None) -> dict[str, Any] | None:
    with contextlib.suppress(TypeError, KeyError):
        return None if cls is None else described(cls)
    return None


def kept(key: str, targets: Iterable[str], find: Callable[[], dict[str, Any]]) -> Mapping[str, Any]:
    """What is found, as JSON has it, and from then on what was: until a package changes of which one is a target."""
    stamp, file = _stamp(targets), cache_folder() / _FILE
    known: Any = {}
    with contextlib.suppress(OSError, ValueError):
        known = json.loads(file.read_text())
    with contextlib.suppress(KeyError, TypeError, AttributeError):
        found: dict[str, Any] = known[key]["found"]
        if known[key]["stamp"] == [stamp, _sum(found)]:
            return found
    found = find()
    with contextlib.suppress(InrkitError, OSError, TypeError, ValueError):  # without a cache it takes longer
        found = json.loads(json.dumps(found))
        file.parent.mkdir(parents=True, exist_ok=True)
        others = known if isinstance(known, dict) else {}
        write_text(file, json.dumps({**others, key: {"stamp": [stamp, _sum(found)], "found": found}}))
    return found


def _sum(found: Any) -> str:
    return sha256(json.dumps(found, sort_keys=True).encode())


def _stamp(targets: Iterable[str]) -> str:
    """Changes when a file of these packages, or of ours, does."""
    names = {GROUP, *(target.partition(":")[0].partition(".")[0] for target in targets)}
    return f"{' '.join(targets)} {max(_changed(Path(str(sys.modules[name].__file__))) for name in names)}"


@functools.cache
def _changed(module: Path) -> int:
    """When a file of an imported module's package changed last; a process goes on with what it has imported."""
    files = module.parent.rglob("*.py") if module.name == "__init__.py" else [module]
    return max(file.stat().st_mtime_ns for file in files)
