"""What the loaded plugins offer, and what was found wrong with the others."""
# ruff: noqa: F401  the types of kinds are named in strings

import functools
import importlib
import inspect
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, cast, final, overload

import attrs

from inrkit.errors import PluginError, UsageError, did_you_mean

if TYPE_CHECKING:  # types for whoever asks; nothing of them is imported before a name is asked for
    from pathlib import Path

    from click import Command

    from inrkit.core.denoiser import Denoiser
    from inrkit.core.inr import INRFunction
    from inrkit.core.modality import Modality
    from inrkit.core.objective.base import Objective
    from inrkit.core.sample import Sampler
    from inrkit.inference.export import Exporter
    from inrkit.metrics.feature import FeatureNetwork
    from inrkit.storage.importer import Importer
    from inrkit.storage.opener import SourceOpener
    from inrkit.training.tracker import Tracker

T = TypeVar("T")


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
        try:
            return _imported(self.target)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise PluginError(f"{self.where} cannot be loaded: {reason_of(error)}") from error

    @property
    def where(self) -> str:
        """How messages speak of it."""
        return f"{self.kind} '{self.name}' of {self.distribution}: '{self.target}'"


@final
@attrs.frozen
class Broken:
    """A plugin that is left out, why, and the names it was about to register."""

    plugin: str
    distribution: str
    reason: str
    names: tuple[str, ...] = ()


@final
class Kind(Generic[T]):
    """One kind of thing that can be registered; T is what ``registry.KIND(name)`` gives.

    Args:
        base: "module:Class" that each target is a final subclass of; or an instance, where it is ``made``.
        named: Whether the class says its own name.
        options: "Options" where the class holds an attrs class of that name, "fields" where it is one itself; they
            are what can be set. None: nothing can.
    """

    def __init__(
        self,
        base: str,
        *,
        named: bool = True,
        options: Literal["Options", "fields"] | None = "Options",
        made: bool = False,
    ) -> None:
        self.base, self.named, self.options, self.made = base, named, options, made
        self.name = self.plural = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, registry: None, owner: type) -> "Kind[T]": ...
    @overload
    def __get__(self, registry: "Registry", owner: type) -> Callable[[str], T]: ...
    def __get__(self, registry: "Registry | None", owner: type) -> "Kind[T] | Callable[[str], T]":
        return self if registry is None else functools.partial(self.load, registry)

    def load(self, registry: "Registry", name: str) -> T:
        """What is registered under this name, when it keeps its contract; else why not."""
        entry = registry.entry(self.name, name)
        found, base, where = entry.load(), _imported(self.base), entry.where
        if self.made:
            if not isinstance(found, base):
                raise PluginError(f"{where} must be a `{self.base.replace(':', '.')}` (got {found!r})")
            return cast(T, found)
        if not isinstance(found, type) or not issubclass(found, base):
            raise PluginError(f"{where} must be a subclass of `{base.__name__}` (got {found!r})")
        if inspect.isabstract(found):
            missing = ", ".join(sorted(getattr(found, "__abstractmethods__", ())))
            raise PluginError(f"{where} must be a final class; it lacks {missing}")
        if self.named and getattr(found, "name", None) != entry.name:
            raise PluginError(f"{where} must have name = '{entry.name}' (got {getattr(found, 'name', None)!r})")
        if self.options is not None and not attrs.has(self.settings(found) or object):
            what = "have an attrs class as its 'Options'" if self.options == "Options" else "be an attrs class"
            raise PluginError(f"{where} must {what}")
        return cast(T, found)

    def settings(self, found: Any) -> type | None:
        """The attrs class of what can be set for something of this kind."""
        settings: type | None = found if self.options == "fields" else getattr(found, self.options or "", None)
        return settings


@final
class Plural:
    """``registry.KINDs``: what is registered of one kind, by name."""

    def __init__(self, kind: Kind[Any]) -> None:
        self.kind = kind

    def __set_name__(self, owner: type, name: str) -> None:
        self.kind.plural = name

    def __get__(self, registry: "Registry", owner: type) -> Mapping[str, Entry]:
        return registry.offers.get(self.kind.name, {})


def _names(kind: Kind[T]) -> tuple[Kind[T], Plural]:
    return kind, Plural(kind)


@final
@attrs.frozen
class Registry:
    """What the loaded plugins offer, by kind and name."""

    offers: Mapping[str, Mapping[str, Entry]] = attrs.field(factory=dict)
    """By kind, then by name."""
    loaded: Mapping[tuple[str, str], tuple[str, ...]] = attrs.field(factory=dict)
    """By (plugin, distribution), what each plugin that works should leave alone while it is imported."""
    broken: tuple[Broken, ...] = ()

    modality, modalities = _names(Kind["type[Modality]"]("inrkit.core.modality:Modality"))
    function, functions = _names(Kind["type[INRFunction]"]("inrkit.core.inr:INRFunction", named=False))
    denoiser, denoisers = _names(Kind["type[Denoiser]"]("inrkit.core.denoiser:Denoiser", named=False))
    objective, objectives = _names(Kind["type[Objective]"]("inrkit.core.objective.base:Objective", options="fields"))
    sampler, samplers = _names(Kind["type[Sampler]"]("inrkit.core.sample:Sampler", options=None))
    importer, importers = _names(Kind["type[Importer]"]("inrkit.storage.importer:Importer"))
    exporter, exporters = _names(Kind["type[Exporter]"]("inrkit.inference.export:Exporter"))
    source, sources = _names(Kind["type[SourceOpener]"]("inrkit.storage.opener:SourceOpener", options=None))
    tracker, trackers = _names(Kind["type[Tracker]"]("inrkit.training.tracker:Tracker", options=None))
    feature, features = _names(Kind["type[FeatureNetwork]"]("inrkit.metrics.feature:FeatureNetwork"))
    model, models = _names(Kind["Path"]("pathlib:Path", named=False, options=None, made=True))
    command, commands = _names(Kind["Command"]("click:Command", named=False, options=None, made=True))

    def entries(self) -> tuple[Entry, ...]:
        """Everything that is registered, kind by kind."""
        return tuple(entry for kind in KINDS for entry in self.offers.get(kind, {}).values())

    def origin(self, kind: str, name: str) -> str:
        """How messages speak of something that is in use: "modality 'sonar' of plugin 'sonar' (inrkit-sonar)"."""
        entry = self.offers.get(kind, {}).get(name)
        return f"{kind} '{name}'" + (f" of plugin '{entry.plugin}' ({entry.distribution})" if entry else "")

    def entry(self, kind: str, name: str) -> Entry:
        """What is registered under this name, or why nothing is."""
        known = self.offers.get(kind, {})
        if name in known:
            return known[name]
        for broken in self.broken:
            if name in (broken.plugin, *broken.names):
                whose = f"plugin '{broken.plugin}' of {broken.distribution}"
                raise PluginError(f"no {kind} named '{name}': {whose} is broken: {broken.reason}")
        installed = ", ".join(f"{entry.name} ({entry.distribution})" for entry in known.values()) or "none"
        also = f"; broken plugins: {', '.join(b.plugin for b in self.broken)}" if self.broken else ""
        told = [repr(entry.name) for entry in known.values() if re.search(rf"\b{re.escape(name)}\b", entry.summary)]
        meant = did_you_mean(name, known) or (f" Did you mean {' or '.join(told)}?" if told else "")
        advice = meant or " If a package brings it, install that."
        raise UsageError(f"no {kind} named '{name}'; installed: {installed}{also}.{advice}")


KINDS: Mapping[str, Kind[Any]] = {name: kind for name, kind in vars(Registry).items() if isinstance(kind, Kind)}
"""Each kind of thing that can be registered, by name; the hook is ``register_PLURAL``."""


def reason_of(error: BaseException) -> str:
    """One line that says what went wrong."""
    if isinstance(error, PluginError):
        return str(error)
    if isinstance(error, SystemExit):
        return f"it called sys.exit({error.code!r})"
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _imported(target: str) -> Any:
    """What stands at "module:attribute"."""
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)
