"""From the installed entry points to a `Registry`: each plugin imported under guard, its hooks called on its own."""

import functools
import importlib.metadata
import importlib.util
import inspect
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from inrkit import hookspecs
from inrkit.errors import PluginError, UsageError, did_you_mean
from inrkit.plugins import own
from inrkit.plugins.guard import Watched, guarded, seconds_allowed
from inrkit.plugins.registry import KINDS, Broken, Entry, Registry, Remark, reason_of

GROUP = "inrkit"
VARIABLE = "INRKIT_PLUGINS"

RESERVED: Mapping[str, frozenset[str]] = {
    "command": frozenset(
        {"train", "sample", "encode", "render", "edit", "export", "evaluate", "compare", "data", "plugins", "doctor"}
    ),
}
"""Names that are inrkit's own, and that no plugin can be asked for."""

_HOOKS = {f"register_{kind.plural}": name for name, kind in KINDS.items()}
NAME = re.compile(r"[a-z][a-z0-9-]*")
"""What plugins may be called, and what they register."""
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_API = re.compile(r"^INRKIT_API\s*(?::\s*\w+\s*)?=\s*(\d+)\s*(?:#.*)?$", re.MULTILINE)


def load_plugins() -> Registry:
    """The registry of the installed plugins that ``INRKIT_PLUGINS`` allows; found once for each of its settings."""
    return _load(os.environ.get(VARIABLE))


@functools.cache
def _load(wanted: str | None) -> Registry:
    names = None if wanted is None else [name.strip() for name in wanted.split(",") if name.strip()]
    unreadable: list[Broken] = []
    return discover(installed(unreadable), names, unreadable)


def installed(unreadable: list[Broken]) -> list[importlib.metadata.EntryPoint]:
    """All entry points of our group; a distribution whose metadata cannot be read is added to ``unreadable``."""
    try:
        return list(importlib.metadata.entry_points(group=GROUP))
    except Exception:  # which distribution it is, is only found out one by one
        points: dict[tuple[str, str], importlib.metadata.EntryPoint] = {}
        for distribution in importlib.metadata.distributions():
            try:
                name = str(distribution.metadata["Name"])
                for point in distribution.entry_points.select(group=GROUP):
                    points.setdefault((name, point.name), point)
            except Exception as error:
                name = Path(str(getattr(distribution, "_path", "unknown distribution"))).name
                unreadable.append(Broken(name, name, f"its metadata cannot be read: {reason_of(error)}"))
        return list(points.values())


def discover(
    points: Iterable[importlib.metadata.EntryPoint],
    wanted: Iterable[str] | None = None,
    unreadable: Iterable[Broken] = (),
) -> Registry:
    """Load these entry points, or those named in ``wanted``; built-in plugins come first and so keep their names."""
    ordered = sorted(points, key=lambda point: (_distribution(point) != GROUP, _distribution(point), point.name))
    ordered = ordered if wanted is None else _chosen(ordered, list(wanted))
    limit = seconds_allowed()
    entries: dict[str, dict[str, Entry]] = {kind: {} for kind in KINDS}
    loaded, broken, remarks = [(GROUP, GROUP)], list(unreadable), []
    for entry in _offered(own, (GROUP, GROUP), []):
        entries[entry.kind][entry.name] = entry
    for point in ordered:
        offered: list[Entry] = []
        watched = Watched()
        origin = (point.name, _distribution(point))
        try:
            with guarded(limit) as watched:
                _collect(point, offered)
            _refuse_duplicates(entries, offered)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # also SystemExit: a plugin that calls sys.exit must not end the program
            names = tuple(dict.fromkeys(entry.name for entry in offered))
            broken.append(Broken(*origin, reason_of(error), names))
            if watched.late:  # every command waits for it: whoever runs one should know why
                _warn(f"plugin '{origin[0]}' of {origin[1]} is left out: {reason_of(error)}")
            continue
        loaded.append(origin)
        remarks += [Remark(*origin, text) for text in watched.remarks()]
        if not offered:
            remarks.append(Remark(*origin, "it registers nothing; mark its hooks with @inrkit.hookimpl"))
        for entry in offered:
            entries[entry.kind][entry.name] = entry
    return Registry(entries, loaded=tuple(loaded), broken=tuple(broken), remarks=tuple(remarks))


def _warn(text: str) -> None:
    import logging  # which nobody else needs

    logging.getLogger(GROUP).warning(text)


def _chosen(points: list[importlib.metadata.EntryPoint], wanted: list[str]) -> list[importlib.metadata.EntryPoint]:
    known = {point.name for point in points}
    for name in wanted:
        if name not in known:
            listed = ", ".join(sorted(known)) or "none"
            raise UsageError(f"no plugin named '{name}'; installed: {listed}.{did_you_mean(name, known)}")
    return [point for point in points if point.name in set(wanted)]


def _distribution(point: importlib.metadata.EntryPoint) -> str:
    name = point.dist.name if point.dist is not None else None
    return name or "unknown distribution"


def _collect(point: importlib.metadata.EntryPoint, offered: list[Entry]) -> None:
    """Import one plugin and call its hooks; what it registers is added to ``offered``."""
    _refuse_version(_written_version(point.module))
    plugin = point.load()
    _refuse_version(getattr(plugin, "INRKIT_API", None))
    _offered(plugin, (point.name, _distribution(point)), offered)


def _offered(plugin: ModuleType | Any, origin: tuple[str, str], offered: list[Entry]) -> list[Entry]:
    """Call a plugin's hooks; what it registers is added to ``offered``."""
    # A manager of its own: no plugin's hook stands in the way of another's.
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    manager.register(plugin, ":".join(origin))
    _refuse_unknown_hooks(manager, plugin)
    for hook, kind in _HOOKS.items():
        getattr(manager.hook, hook)(register=_register(kind, origin, offered))
    return offered


def _written_version(module: str) -> int | None:
    """``INRKIT_API = N`` as it stands in a plugin's source, before anything of it runs."""
    if "." in module:  # to find it, Python would run the package around it
        return None
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    found = _API.search(Path(spec.origin).read_text(encoding="utf-8", errors="replace"))
    return None if found is None else int(found[1])


def _refuse_version(version: Any) -> None:
    if version is not None and version != hookspecs.API:
        whose = "newer" if isinstance(version, int) and version > hookspecs.API else "older"
        raise PluginError(
            f"it asks for version {version!r} of the plugin interface, this inrkit has {hookspecs.API}; "
            f"install {'another version of the plugin' if whose == 'older' else 'a newer inrkit'}"
        )


def _refuse_unknown_hooks(manager: pluggy.PluginManager, plugin: ModuleType | Any) -> None:
    for name, _ in inspect.getmembers_static(plugin):
        if manager.parse_hookimpl_opts(plugin, name) is not None and name not in _HOOKS:
            listed = ", ".join(_HOOKS)
            raise PluginError(f"no hook named '{name}'; there are {listed}.{did_you_mean(name, _HOOKS)}")


def _register(kind: str, origin: tuple[str, str], offered: list[Entry]) -> Callable[..., None]:
    def register(name: str, target: str, summary: str) -> None:
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise PluginError(f"a {kind} is named with lower-case letters, digits and dashes (got {name!r})")
        if name in RESERVED.get(kind, ()):
            raise PluginError(f"{kind} '{name}' is inrkit's own; give the plugin's another name")
        if not isinstance(target, str) or not _TARGET.fullmatch(target):
            raise PluginError(f"{kind} '{name}' must be given as 'module:attribute' (got {target!r})")
        if not isinstance(summary, str) or "\n" in summary:
            raise PluginError(f"{kind} '{name}' needs a summary of one line (got {summary!r})")
        offered.append(Entry(kind, name, target, summary, origin[1], origin[0]))

    return register


def _refuse_duplicates(entries: Mapping[str, Mapping[str, Entry]], offered: Iterable[Entry]) -> None:
    seen: dict[tuple[str, str], Entry] = {
        (kind, name): e for kind, named in entries.items() for name, e in named.items()
    }
    for entry in offered:
        other = seen.setdefault((entry.kind, entry.name), entry)
        if other is not entry:
            both = sorted({other.distribution, entry.distribution})
            whom, cure = " and by ".join(both), "uninstall one of them" if len(both) > 1 else "rename one of them"
            raise PluginError(f"{entry.kind} '{entry.name}' is registered twice, by {whom}; {cure}")
