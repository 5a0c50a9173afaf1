"""What the loaded plugins offer, and what was found wrong with the others."""

import importlib
import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, final

import attrs

from inrkit.errors import PluginError, UsageError, did_you_mean

if TYPE_CHECKING:
    from inrkit.core.denoiser import Denoiser
    from inrkit.core.inr import INRFunction
    from inrkit.core.modality import Modality

KINDS = {
    "modality": "modalities",
    "function": "functions",
    "denoiser": "denoisers",
    "importer": "importers",
    "exporter": "exporters",
    "command": "commands",
}
"""Each kind of thing that can be registered, and its plural: the hook is ``register_PLURAL``."""


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
@attrs.frozen
class Remark:
    """Something that a plugin, which works, should leave alone while it is imported."""

    plugin: str
    distribution: str
    text: str


@final
@attrs.frozen
class Registry:
    """What the loaded plugins offer, by kind and name."""

    modalities: Mapping[str, Entry] = attrs.field(factory=dict)
    functions: Mapping[str, Entry] = attrs.field(factory=dict)
    denoisers: Mapping[str, Entry] = attrs.field(factory=dict)
    importers: Mapping[str, Entry] = attrs.field(factory=dict)
    exporters: Mapping[str, Entry] = attrs.field(factory=dict)
    commands: Mapping[str, Entry] = attrs.field(factory=dict)
    loaded: tuple[tuple[str, str], ...] = ()
    """(plugin, distribution) of each plugin that works."""
    broken: tuple[Broken, ...] = ()
    remarks: tuple[Remark, ...] = ()

    def modality(self, name: str) -> "type[Modality]":
        """The class of a modality."""
        from inrkit.core.modality import Modality

        return _checked(self.entry("modality", name), Modality)

    def function(self, name: str) -> "type[INRFunction]":
        """The class of an implicit function."""
        from inrkit.core.inr import INRFunction

        return _checked(self.entry("function", name), INRFunction)

    def denoiser(self, name: str) -> "type[Denoiser]":
        """The class of a denoiser."""
        from inrkit.core.denoiser import Denoiser

        return _checked(self.entry("denoiser", name), Denoiser)

    def importer(self, name: str) -> type[Any]:
        """The class of an importer, a subclass of `inrkit.Importer`."""
        return _checked(self.entry("importer", name), None)

    def exporter(self, name: str) -> type[Any]:
        """The class of an exporter, a subclass of `inrkit.Exporter`."""
        return _checked(self.entry("exporter", name), None)

    def command(self, name: str) -> Any:
        """A plugin's command of the command line, a `click.Command`."""
        entry = self.entry("command", name)
        found = entry.load()
        if not callable(getattr(found, "make_context", None)):  # click itself is the command line's to import
            raise PluginError(f"{entry.where} must be a `click.Command` (got {found!r})")
        return found

    def entries(self) -> tuple[Entry, ...]:
        """Everything that is registered, kind by kind."""
        return tuple(entry for plural in KINDS.values() for entry in getattr(self, plural).values())

    def entry(self, kind: str, name: str) -> Entry:
        """What is registered under this name, or why nothing is."""
        known: Mapping[str, Entry] = getattr(self, KINDS[kind])
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


def reason_of(error: BaseException) -> str:
    """One line that says what went wrong."""
    if isinstance(error, PluginError):
        return str(error)
    if isinstance(error, SystemExit):
        return f"it called sys.exit({error.code!r})"
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _checked(entry: Entry, base: type | None) -> type[Any]:
    """The target, when it keeps its contract."""
    found, where = entry.load(), entry.where
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
