"""What the shell offers for a word that is being typed: names of plugins, presets, runs and models.

A shell asks at every press of the tab key, so none of this imports torch: names come from the hooks of the plugins, and
presets of modalities are remembered in the cache folder.
"""

import contextlib
import functools
from collections.abc import Callable, Iterable
from pathlib import Path

from click import Context, Parameter
from click.shell_completion import CompletionItem

from inrkit.cli.remembered import facts
from inrkit.errors import InrkitError
from inrkit.plugins import Entry, load_plugins

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
    found = facts("modality", modality)["presets"]
    return [CompletionItem(name, help=str(preset.get("summary", ""))) for name, preset in found.items()]


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
