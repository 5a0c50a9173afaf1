"""``inrkit plugins``."""

from typing import Any

import click

from inrkit.cli.output import as_json, say_json, say_table
from inrkit.plugins import Registry, load_plugins
from inrkit.plugins.registry import KINDS


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
    say_table(["plugin", "from", "state", "offers, or why not"], [_cells(row) for row in rows])


def describe(registry: Registry) -> list[dict[str, Any]]:
    """One row for each plugin: name, distribution, version, state, what it offers, remarks, the reason if broken."""
    rows = []
    for origin in registry.loaded:
        offers: dict[str, list[str]] = {plural: [] for plural in KINDS.values()}
        for entry in registry.entries():
            if (entry.plugin, entry.distribution) == origin:
                offers[KINDS[entry.kind]].append(entry.name)
        remarks = [r.text for r in registry.remarks if (r.plugin, r.distribution) == origin]
        rows.append(_row(*origin, "works", offers, None, remarks))
    rows += [_row(broken.plugin, broken.distribution, "broken", {}, broken.reason, []) for broken in registry.broken]
    return rows


def _row(
    plugin: str, distribution: str, state: str, offers: dict[str, Any], reason: str | None, remarks: list[str]
) -> dict[str, Any]:
    return {
        "plugin": plugin,
        "distribution": distribution,
        "version": _version(distribution),
        "state": state,
        "offers": offers,
        "reason": reason,
        "remarks": remarks,
    }


def _cells(row: dict[str, Any]) -> list[str]:
    offers = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in row["offers"].items() if names)
    remarks = "".join(f"; but {remark}" for remark in row["remarks"])
    return [
        row["plugin"],
        f"{row['distribution']} {row['version'] or ''}".rstrip(),
        row["state"],
        row["reason"] or f"{offers}{remarks}".removeprefix("; "),
    ]


def _version(distribution: str) -> str | None:
    import importlib.metadata

    try:
        return importlib.metadata.version(distribution)
    except (importlib.metadata.PackageNotFoundError, ValueError, KeyError):
        return None
