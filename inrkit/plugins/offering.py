"""What one plugin registers: its hooks are called, and each name is looked at before it counts."""

import importlib.util
import inspect
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType

import pluggy

from inrkit import hookspecs
from inrkit.errors import PluginError, did_you_mean
from inrkit.plugins.registry import KINDS, Entry

RESERVED: Mapping[str, frozenset[str]] = {
    "command": frozenset(
        {"train", "sample", "encode", "render", "edit", "export", "evaluate", "compare", "report", "data"}
        | {"models", "presets", "plugins", "doctor", "completion"}
    ),
}
"""Names that are inrkit's own, and that no plugin can be asked for."""
NAME = re.compile(r"[a-z][a-z0-9-]*")
"""What plugins may be called, and what they register."""
_HOOKS = {f"register_{kind.plural}": name for name, kind in KINDS.items()}
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_API = re.compile(r"^INRKIT_API\s*(?::\s*\w+\s*)?=\s*(\d+)\s*(?:#.*)?$", re.MULTILINE)


def offer(plugin: ModuleType, origin: tuple[str, str], offered: list[Entry]) -> list[Entry]:
    """Call the hooks of a plugin, (name, distribution); what it registers is added to ``offered``."""
    # A manager of its own: no plugin's hook stands in the way of another's.
    manager = pluggy.PluginManager("inrkit")
    manager.add_hookspecs(hookspecs)
    manager.register(plugin, ":".join(origin))
    for name, _ in inspect.getmembers_static(plugin):
        if manager.parse_hookimpl_opts(plugin, name) is not None and name not in _HOOKS:
            raise PluginError(f"no hook named '{name}'; there are {', '.join(_HOOKS)}.{did_you_mean(name, _HOOKS)}")
    for hook, kind in _HOOKS.items():

        def register(name: str, target: str, summary: str, kind: str = kind) -> None:
            _refuse_odd(kind, name, target, summary)
            offered.append(Entry(kind, name, target, summary, distribution=origin[1], plugin=origin[0]))

        getattr(manager.hook, hook)(register=register)
    return offered


def _refuse_odd(kind: str, name: object, target: object, summary: object) -> None:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise PluginError(f"a {kind} is named with lower-case letters, digits and dashes (got {name!r})")
    if name in RESERVED.get(kind, ()):
        raise PluginError(f"{kind} '{name}' is inrkit's own; give the plugin's another name")
    if not isinstance(target, str) or not _TARGET.fullmatch(target):
        raise PluginError(f"{kind} '{name}' must be given as 'module:attribute' (got {target!r})")
    if not isinstance(summary, str) or "\n" in summary:
        raise PluginError(f"{kind} '{name}' needs a summary of one line (got {summary!r})")


def refuse_duplicates(entries: Mapping[str, Mapping[str, Entry]], offered: Iterable[Entry]) -> None:
    """A name stands for one thing: an error where it has been registered before."""
    seen = {(kind, name): entry for kind, named in entries.items() for name, entry in named.items()}
    for entry in offered:
        other = seen.setdefault((entry.kind, entry.name), entry)
        if other is not entry:
            both = sorted({other.distribution, entry.distribution})
            whom, cure = " and by ".join(both), "uninstall one of them" if len(both) > 1 else "rename one of them"
            raise PluginError(f"{entry.kind} '{entry.name}' is registered twice, by {whom}; {cure}")


def written_version(module: str) -> int | None:
    """``INRKIT_API = N`` as it stands in a plugin's source, before anything of it runs."""
    if "." in module:  # to find it, Python would run the package around it
        return None
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    found = _API.search(Path(spec.origin).read_text(encoding="utf-8", errors="replace"))
    return int(found[1]) if found else None


def refuse_version(version: object) -> None:
    """A plugin that was written for other hooks is not used."""
    if version is not None and version != hookspecs.API:
        newer = isinstance(version, int) and version > hookspecs.API
        cure = "a newer inrkit" if newer else "another version of the plugin"
        raise PluginError(
            f"it asks for version {version!r} of the plugin interface, this inrkit has {hookspecs.API}; install {cure}"
        )
