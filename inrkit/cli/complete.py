"""What the shell offers for a word that is being typed: names of plugins, presets, runs and models.

A shell asks at every press of the tab key, so none of this imports torch: names come from the hooks of the plugins, and
what stands in the modules of modalities, their presets and where their options are, is remembered in the cache folder.
"""

import contextlib
import functools
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from click import Context, Parameter
from click.shell_completion import CompletionItem

from inrkit.errors import InrkitError
from inrkit.plugins import Entry, load_plugins
from inrkit.storage.atomic import write_text
from inrkit.storage.cache import cache_folder

Complete = Callable[[Context, Parameter, str], list[CompletionItem]]


def _complete(find: Callable[[Context, str], Iterable[CompletionItem]]) -> Complete:
    """What ``find`` gives that begins with the word; a failure is no text in the middle of somebody's command line."""

    @functools.wraps(find)
    def complete(ctx: Context, parameter: Parameter, word: str) -> list[CompletionItem]:
        with contextlib.suppress(InrkitError, OSError):
            return [item for item in find(ctx, word) if str(item.value).startswith(word)]
        return []

    return complete


def names(kind: str) -> Complete:
    """The registered names of this kind, such as "objective"."""
    return _complete(lambda ctx, word: map(_item, load_plugins().offers.get(kind, {}).values()))


@_complete
def plugins(ctx: Context, word: str) -> Iterable[CompletionItem]:
    """Installed plugins, and all that they register."""
    registry = load_plugins()
    found = {plugin: CompletionItem(plugin, help=distribution) for plugin, distribution in registry.loaded}
    return [*found.values(), *(_item(entry) for entry in registry.entries() if entry.name not in found)]


@_complete
def presets(ctx: Context, word: str) -> Iterable[CompletionItem]:
    """Presets of the modality that was given, or of images as `inrkit train` has it."""
    modality = str(ctx.params.get("modality") or "image")
    return [CompletionItem(name, help=summary) for name, summary in remembered(modality)["presets"].items()]


@_complete
def runs(ctx: Context, word: str) -> Iterable[CompletionItem]:
    """Trained models by name, and the run directories and saved models in the folder of the word and one below."""
    folder = Path(word.rpartition("/")[0] or ("/" if word.startswith("/") else ""))
    near = {path.parent for depth in ("*", "*/*") for path in folder.glob(f"{depth}/config.toml")}
    found = [*map(_item, load_plugins().models.values()), *(CompletionItem(str(path)) for path in sorted(near))]
    if any(str(item.value).startswith(word) for item in found):
        return found
    return [CompletionItem(word, type="file")]  # the shell completes files and folders


def _item(entry: Entry) -> CompletionItem:
    return CompletionItem(entry.name, help=entry.summary)


def remembered(modality: str) -> dict[str, Any]:
    """``presets``, each with its summary, and ``options``, "module:Class" or None; until its package changes."""
    entry = load_plugins().entry("modality", modality)
    stamp, file = _stamp(entry), cache_folder() / "modalities.json"
    known: Any = {}
    with contextlib.suppress(OSError, ValueError):
        known = json.loads(file.read_text())
    with contextlib.suppress(KeyError, TypeError, AttributeError):
        found: dict[str, Any] = known[modality][stamp]
        if found.keys() == {"presets", "options"}:
            return found
    cls = load_plugins().modality(modality)
    summaries = {name: str(preset.get("summary", "")) for name, preset in cls.presets.items()}
    found = {"presets": summaries, "options": _address(cls.Options)}
    with contextlib.suppress(InrkitError, OSError):  # without a cache it takes longer
        file.parent.mkdir(parents=True, exist_ok=True)
        others = {name: of for name, of in known.items() if name != modality} if isinstance(known, dict) else {}
        write_text(file, json.dumps({**others, modality: {stamp: found}}))
    return found


def _address(cls: type) -> str | None:
    there = getattr(sys.modules.get(cls.__module__), cls.__qualname__, None) is cls
    return f"{cls.__module__}:{cls.__qualname__}" if there else None


def _stamp(entry: Entry) -> str:
    """Changes when a file of the modality's package does."""
    package = Path(str(sys.modules[entry.target.partition(":")[0].partition(".")[0]].__file__))
    files = package.parent.rglob("*.py") if package.name == "__init__.py" else [package]
    return f"{entry.target} {max(file.stat().st_mtime_ns for file in files)}"
