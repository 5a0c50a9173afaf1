"""``inrkit plugins``."""

from typing import Any

import click

from inrkit.cli.output import as_json, say_json, say_table
from inrkit.plugins import Registry, load_plugins


@click.group()
def plugins() -> None:
    """List what is installed, and what is broken.

    Plugins are distributions with an entry point in the group 'inrkit'. The variable INRKIT_PLUGINS, or the flag
    --plugins before the command, loads only some of them.

    \b
      inrkit plugins list
      inrkit --plugins image plugins list --json
    """


@plugins.command("list")
@as_json
def list_plugins(as_json: bool) -> None:
    """Each plugin with what it offers, or why it is left out.

    \b
      inrkit plugins list
    """
    rows = describe(load_plugins())
    if as_json:
        say_json(rows)
        return
    say_table(
        ["plugin", "from", "state", "offers, or why not"],
        [
            [
                row["plugin"],
                f"{row['distribution']} {row['version']}",
                row["state"],
                row["reason"] or _offers(row["offers"]),
            ]
            for row in rows
        ],
    )


def describe(registry: Registry) -> list[dict[str, Any]]:
    """One row for each plugin: name, distribution, version, state, what it offers, and the reason if broken."""
    rows = []
    for plugin, distribution in registry.loaded:
        offers = {
            kind: [
                entry.name for entry in entries.values() if (entry.plugin, entry.distribution) == (plugin, distribution)
            ]
            for kind, entries in (
                ("modalities", registry.modalities),
                ("functions", registry.functions),
                ("denoisers", registry.denoisers),
                ("exporters", registry.exporters),
                ("importers", registry.importers),
            )
        }
        rows.append(_row(plugin, distribution, "works", offers, None))
    rows += [_row(broken.plugin, broken.distribution, "broken", {}, broken.reason) for broken in registry.broken]
    return rows


def _row(plugin: str, distribution: str, state: str, offers: dict[str, Any], reason: str | None) -> dict[str, Any]:
    return {
        "plugin": plugin,
        "distribution": distribution,
        "version": _version(distribution),
        "state": state,
        "offers": offers,
        "reason": reason,
    }


def _offers(offers: dict[str, list[str]]) -> str:
    return "; ".join(f"{kind}: {', '.join(names)}" for kind, names in offers.items() if names)


def _version(distribution: str) -> str | None:
    import importlib.metadata

    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
