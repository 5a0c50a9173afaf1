"""``inrkit plugins``."""

import importlib.metadata
from typing import Any

import click

from inrkit.cli import complete, option
from inrkit.cli.help import command
from inrkit.cli.lazy import LazyGroup
from inrkit.cli.table import Table, say_result
from inrkit.errors import PluginError, UsageError, did_you_mean
from inrkit.plugins import Registry, load_plugins
from inrkit.plugins.registry import KINDS

COMMANDS = {
    "list": ("inrkit.cli.plugins:list_plugins", "List the plugins, with what each offers or why it is left out."),
    "show": ("inrkit.cli.plugins:show", "Show everything that one plugin registers."),
    "check": ("inrkit.cli.plugincheck:check", "Run every check of the conformance tests on a plugin."),
    "new": ("inrkit.cli.pluginnew:new", "Create a new plugin that passes every check."),
}


@click.group(cls=LazyGroup, lazy=COMMANDS)
def plugins() -> None:
    """List the plugins that are installed or broken; check a plugin, or create one.

    \b
      inrkit plugins list
      inrkit --plugins image plugins list --json
      inrkit plugins new weather --axes 2

    Plugins are Python packages with an entry point in the group 'inrkit'. The environment variable INRKIT_PLUGINS, or
    the flag --plugins before the command, loads only some of them; INRKIT_PLUGIN_SECONDS is how long each may take to
    load (5).
    """


@command("list")
@option.table
@option.as_json
def list_plugins(as_json: bool) -> None:
    """List the plugins, with what each offers or why it is left out.

    \b
      inrkit plugins list
      inrkit plugins list --json
      inrkit --plugins image plugins list          only this one is loaded
    """
    rows = describe(load_plugins())
    table = Table(["plugin", "from", "state", "offers, or why not"], [_cells(row) for row in rows])
    say_result(rows, [table], as_json=as_json)


@command()
@click.argument("name", shell_complete=complete.plugins)
@option.table
@option.as_json
def show(name: str, as_json: bool) -> None:
    """Show everything that one plugin registers: names, what they stand for, and where the code is.

    \b
      inrkit plugins show image
      inrkit plugins show nerf --json
      inrkit plugins show image --table image.csv
    """
    registry = load_plugins()
    rows = describe(registry)
    row = next((row for row in rows if row["plugin"] == name), None)
    if row is None:
        known = [row["plugin"] for row in rows]
        raise UsageError(f"no plugin named '{name}'; there are {', '.join(known)}.{did_you_mean(name, known)}")
    if row["state"] == "broken":
        raise PluginError(f"plugin '{name}' of {row['distribution']} is broken: {row['reason']}")
    entries = [entry for entry in registry.entries() if entry.plugin == name]
    presets = {e.name: list(registry.modality(e.name).presets) for e in entries if e.kind == "modality"}
    registered = [{"kind": e.kind, "name": e.name, "target": e.target, "summary": e.summary} for e in entries]
    about = [
        ["plugin", name],
        ["from", f"{row['distribution']} {row['version']}"],
        *(["but", r] for r in row["remarks"]),
        *([f"presets of {modality}", names] for modality, names in presets.items()),
    ]
    parts = [[e.kind, e.name, e.summary, e.target] for e in entries]
    tables = [Table(["what", ""], about), Table(["kind", "name", "what it is", "where"], parts)]
    say_result({**row, "registered": registered, "presets": presets}, tables, as_json=as_json)


def describe(registry: Registry) -> list[dict[str, Any]]:
    """One row for each plugin: name, distribution, version, state, what it offers, the reason if broken, remarks."""
    rows = []
    for origin, remarks in registry.loaded.items():
        mine = [entry for entry in registry.entries() if (entry.plugin, entry.distribution) == origin]
        offers = {kind.plural: [entry.name for entry in mine if entry.kind == name] for name, kind in KINDS.items()}
        rows.append(_row(*origin, "works", offers, None, list(remarks)))
    return rows + [_row(b.plugin, b.distribution, "broken", {}, b.reason, []) for b in registry.broken]


def _row(plugin: str, distribution: str, state: str, offers: Any, reason: str | None, remarks: Any) -> dict[str, Any]:
    origin = {"plugin": plugin, "distribution": distribution, "version": version_of(distribution), "state": state}
    return {**origin, "offers": offers, "reason": reason, "remarks": remarks}


def version_of(distribution: str) -> str | None:
    """What is installed; None for what is not."""
    try:
        return importlib.metadata.version(distribution)
    except (importlib.metadata.PackageNotFoundError, ValueError, KeyError):
        return None


def _cells(row: dict[str, Any]) -> list[str]:
    offers = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in row["offers"].items() if names)
    remarks = "".join(f"; but {remark}" for remark in row["remarks"])
    origin = f"{row['distribution']} {row['version'] or ''}".rstrip()
    return [row["plugin"], origin, row["state"], row["reason"] or f"{offers}{remarks}".removeprefix("; ")]
