"""``inrkit presets``."""

from typing import Any

import click

from inrkit.cli import option
from inrkit.cli.output import bar, say, say_json, say_table, shown_count
from inrkit.plugins import load_plugins


@click.command()
@click.option("--modality", metavar="NAME", help="Only the presets of this modality. [default: all that are installed]")
@option.as_json
def presets(modality: str | None, as_json: bool) -> None:
    """List the presets of each modality: what they are, and how large.

    A preset is a named set of config values; the first of a modality is its default. The number of weights is that of
    the synthetic signals; data of another size may change it. 'inrkit train --preset NAME --dry-run' says what a preset
    would take on this machine, and 'inrkit train --preset NAME --print-config' all of its values.

    \b
      inrkit presets
      inrkit presets --modality image
      inrkit train --preset tiny-mlp --dry-run
    """
    registry = load_plugins()
    rows: list[dict[str, Any]] = []
    with bar("counting weights") as progress:
        names = list(registry.modalities) if modality is None else [modality]
        for name in names:
            for preset, values in registry.modality(name).presets.items():
                about = {"summary": str(values.get("summary", "")), **_about(name, preset)}
                rows.append({"modality": name, "preset": preset, **about})
                progress(len(rows))
    if as_json:
        say_json(rows)
        return
    for name in names:
        say_table(
            [name, "size", "weights", "steps x batch", ""], [_cells(row) for row in rows if row["modality"] == name]
        )
    say("how long one takes on this machine: inrkit train --modality NAME --preset NAME --dry-run")


def _about(modality: str, preset: str) -> dict[str, Any]:
    """Size, weights and steps; None for what only data can tell."""
    from inrkit.config.resolve import imagined, resolve
    from inrkit.errors import UsageError

    try:
        resolved = resolve(modality, preset)
    except UsageError:  # there are no synthetic signals
        return {"size": None, "weights": None, "steps": None, "batch_size": None}
    config = resolved.config
    size = config.options.get("query_size") or config.options.get("size")
    pipeline = imagined(resolved)
    weights = None if pipeline is None else sum(parameter.numel() for parameter in pipeline.parameters())
    return {"size": size, "weights": weights, "steps": config.steps, "batch_size": config.batch_size}


def _cells(row: dict[str, Any]) -> list[str]:
    size = "-" if row["size"] is None else "x".join(map(str, reversed(row["size"])))
    weights = "-" if row["weights"] is None else shown_count(row["weights"]).strip()
    length = "-" if row["steps"] is None else f"{row['steps']:,} x {row['batch_size']}"
    return [row["preset"], size, weights, length, row["summary"]]
