"""Finding plugins: the entry points of the group ``inrkit``, each on its own, so that a broken one harms no other.

``INRKIT_PLUGINS`` names the plugins to load, separated by commas; empty means none, unset means all. Loading imports
the plugins' own modules, but none of the targets they register.
"""

import contextlib
import functools
import importlib
import importlib.metadata
import inspect
import io
import os
import re
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any, final

import attrs
import pluggy

from inrkit import hookspecs
from inrkit.errors import PluginError, UsageError, did_you_mean

if TYPE_CHECKING:
    from inrkit.core.denoiser import Denoiser
    from inrkit.core.inr import INRFunction
    from inrkit.core.modality import Modality

GROUP = "inrkit"
VARIABLE = "INRKIT_PLUGINS"

_HOOKS = {
    "register_modalities": "modality",
    "register_functions": "function",
    "register_denoisers": "denoiser",
    "register_importers": "importer",
    "register_exporters": "exporter",
}
_NAME = re.compile(r"[a-z][a-z0-9-]*")
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


@final
@attrs.frozen
class Entry:
    """A registered name: what it stands for, and who brought it."""

    kind: str
    name: str
    target: str
    summary: str
    distribution: str
    plugin: str

    def load(self) -> Any:
        """Import the target; `PluginError` says why it cannot be."""
        module, _, attribute = self.target.partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            where = f"{self.kind} '{self.name}' of {self.distribution}"
            raise PluginError(f"{where}: '{self.target}' cannot be loaded: {reason_of(error)}") from error


@final
@attrs.frozen
class Broken:
    """A plugin that is left out, why, and the names it was about to register."""

    plugin: str
    distribution: str
    reason: str
    names: tuple[str, ...] = ()


@final
@attrs.frozen
class Registry:
    """What the loaded plugins offer, by kind and name."""

    modalities: Mapping[str, Entry] = attrs.field(factory=dict)
    functions: Mapping[str, Entry] = attrs.field(factory=dict)
    denoisers: Mapping[str, Entry] = attrs.field(factory=dict)
    importers: Mapping[str, Entry] = attrs.field(factory=dict)
    exporters: Mapping[str, Entry] = attrs.field(factory=dict)
    loaded: tuple[tuple[str, str], ...] = ()
    """(plugin, distribution) of each plugin that works."""
    broken: tuple[Broken, ...] = ()

    def modality(self, name: str) -> "type[Modality]":
        """The class of a modality."""
        from inrkit.core.modality import Modality

        return _checked(self._entry("modality", self.modalities, name), Modality)

    def function(self, name: str) -> "type[INRFunction]":
        """The class of an implicit function."""
        from inrkit.core.inr import INRFunction

        return _checked(self._entry("function", self.functions, name), INRFunction)

    def denoiser(self, name: str) -> "type[Denoiser]":
        """The class of a denoiser."""
        from inrkit.core.denoiser import Denoiser

        return _checked(self._entry("denoiser", self.denoisers, name), Denoiser)

    def importer(self, name: str) -> type[Any]:
        """The class of an importer, a subclass of `inrkit.Importer`."""
        return _checked(self._entry("importer", self.importers, name), None)

    def exporter(self, name: str) -> type[Any]:
        """The class of an exporter, a subclass of `inrkit.Exporter`."""
        return _checked(self._entry("exporter", self.exporters, name), None)

    def _entry(self, kind: str, known: Mapping[str, Entry], name: str) -> Entry:
        if name in known:
            return known[name]
        for broken in self.broken:
            if name in (broken.plugin, *broken.names):
                raise PluginError(
                    f"no {kind} named '{name}': plugin '{broken.plugin}' of {broken.distribution} is broken: "
                    f"{broken.reason}"
                )
        installed = ", ".join(f"{entry.name} ({entry.distribution})" for entry in known.values()) or "none"
        also = f"; broken plugins: {', '.join(b.plugin for b in self.broken)}" if self.broken else ""
        raise UsageError(f"no {kind} named '{name}'; installed: {installed}{also}.{did_you_mean(name, known)}")


def load_plugins() -> Registry:
    """The registry of the installed plugins that ``INRKIT_PLUGINS`` allows; found once for each of its settings."""
    return _load(os.environ.get(VARIABLE))


@functools.cache
def _load(wanted: str | None) -> Registry:
    points = importlib.metadata.entry_points(group=GROUP)
    return discover(points, None if wanted is None else [name.strip() for name in wanted.split(",") if name.strip()])


def discover(points: Iterable[importlib.metadata.EntryPoint], wanted: Iterable[str] | None = None) -> Registry:
    """Load these entry points, or those named in ``wanted``; built-in plugins come first and so keep their names."""
    ordered = sorted(points, key=lambda point: (_distribution(point) != GROUP, _distribution(point), point.name))
    if wanted is not None:
        known = {point.name for point in ordered}
        for name in wanted:
            if name not in known:
                listed = ", ".join(sorted(known)) or "none"
                raise UsageError(f"no plugin named '{name}'; installed: {listed}.{did_you_mean(name, known)}")
        ordered = [point for point in ordered if point.name in set(wanted)]
    entries: dict[str, dict[str, Entry]] = {kind: {} for kind in _HOOKS.values()}
    loaded, broken = [], []
    for point in ordered:
        offered: list[Entry] = []
        try:
            _collect(point, offered)
            _refuse_duplicates(entries, offered)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # also SystemExit: a plugin that calls sys.exit must not end the program
            names = tuple(dict.fromkeys(entry.name for entry in offered))
            broken.append(Broken(point.name, _distribution(point), reason_of(error), names))
            continue
        loaded.append((point.name, _distribution(point)))
        for entry in offered:
            entries[entry.kind][entry.name] = entry
    return Registry(
        entries["modality"],
        entries["function"],
        entries["denoiser"],
        entries["importer"],
        entries["exporter"],
        loaded=tuple(loaded),
        broken=tuple(broken),
    )


def reason_of(error: BaseException) -> str:
    """One line that says what went wrong."""
    if isinstance(error, PluginError):
        return str(error)
    if isinstance(error, SystemExit):
        return f"it called sys.exit({error.code!r})"
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _distribution(point: importlib.metadata.EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "unknown distribution"


def _collect(point: importlib.metadata.EntryPoint, offered: list[Entry]) -> None:
    """Import one plugin and call its hooks; what it registers is added to ``offered``."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        # A manager of its own: no plugin's hook stands in the way of another's.
        manager = pluggy.PluginManager(GROUP)
        manager.add_hookspecs(hookspecs)
        plugin = point.load()
        manager.register(plugin, f"{_distribution(point)}:{point.name}")
        _refuse_unknown_hooks(manager, plugin)
        for hook, kind in _HOOKS.items():
            getattr(manager.hook, hook)(register=_register(kind, point, offered))
    if printed.getvalue():
        raise PluginError(f"it prints while it is loaded: {' '.join(printed.getvalue().split())[:60]!r}")


def _refuse_unknown_hooks(manager: pluggy.PluginManager, plugin: ModuleType | Any) -> None:
    for name, _ in inspect.getmembers_static(plugin):
        if manager.parse_hookimpl_opts(plugin, name) is not None and name not in _HOOKS:
            listed = ", ".join(_HOOKS)
            raise PluginError(f"no hook named '{name}'; there are {listed}.{did_you_mean(name, _HOOKS)}")


def _register(kind: str, point: importlib.metadata.EntryPoint, offered: list[Entry]) -> Callable[..., None]:
    def register(name: str, target: str, summary: str) -> None:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise PluginError(f"a {kind} is named with lower-case letters, digits and dashes (got {name!r})")
        if not isinstance(target, str) or not _TARGET.fullmatch(target):
            raise PluginError(f"{kind} '{name}' must be given as 'module:attribute' (got {target!r})")
        if not isinstance(summary, str) or "\n" in summary:
            raise PluginError(f"{kind} '{name}' needs a summary of one line (got {summary!r})")
        offered.append(Entry(kind, name, target, summary, _distribution(point), point.name))

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


def _checked(entry: Entry, base: type | None) -> type[Any]:
    """The target, when it keeps its contract."""
    found = entry.load()
    where = f"{entry.kind} '{entry.name}' of {entry.distribution}: '{entry.target}'"
    if not isinstance(found, type) or (base is not None and not issubclass(found, base)):
        wanted = f"a subclass of `{base.__name__}`" if base is not None else "a class"
        raise PluginError(f"{where} must be {wanted} (got {found!r})")
    if inspect.isabstract(found):
        missing = ", ".join(sorted(getattr(found, "__abstractmethods__", ())))
        raise PluginError(f"{where} must be a final class; it lacks {missing}")
    if entry.kind not in ("function", "denoiser") and getattr(found, "name", None) != entry.name:
        raise PluginError(f"{where} must have name = '{entry.name}' (got {getattr(found, 'name', None)!r})")
    if not attrs.has(getattr(found, "Options", object)):
        raise PluginError(f"{where} must have an attrs class as its 'Options'")
    return found
