"""``inrkit presets``."""

import functools
from typing import Any

import click

from inrkit.cli import complete, option, remembered
from inrkit.cli.help import command
from inrkit.cli.output import bar, shown_count, shown_time
from inrkit.cli.table import Table, say_result, say_table
from inrkit.plugins import load_plugins

_SHARE = 0.3  # of the rate of fp32 products that training reaches: 0.2 to 0.5 in docs/performance.md
_NOTE = "'time here' is a rough guess by operations and the rate of products: 'inrkit train ... --dry-run' measures it"


@command()
@click.option(
    "--modality",
    metavar="NAME",
    shell_complete=complete.names("modality"),
    help="Only the presets of this modality. [default: all that are installed]",
)
@option.table
@option.as_json
def presets(modality: str | None, as_json: bool) -> None:
    """List the presets of each modality: what they are, how large, and how long they take here.

    \b
      inrkit presets
      inrkit presets --modality image
      inrkit train --preset tiny-mlp --dry-run

    A preset is a named set of config values; the first of a modality is its default. The number of weights is that of
    the synthetic signals; data of another size may change it. The time is a guess from a preset's operations and the
    rate of matrix products that is measured first; there is none for objects. 'inrkit train --preset NAME --dry-run'
    measures what a preset would take here, and 'inrkit train --preset NAME --print-config' prints all of its values.
    """
    registry = load_plugins()
    names = list(registry.modalities) if modality is None else [registry.entry("modality", modality).name]
    with bar("measuring this machine"):
        rate = _rate()
    rows: list[dict[str, Any]] = []
    tables: list[Table] = []
    for name in names:  # each table stands there as soon as it is known
        found = _rows(name, rate)
        cells = [_cells(row) for row in found]
        note = _NOTE if name == names[-1] else ""
        tables.append(Table([name, "size", "weights", "steps x batch", "time here", ""], cells, note))
        if not as_json:
            say_table(tables[-1])
        rows += found
    say_result(rows, tables, as_json=as_json, said=True)


def _rows(modality: str, rate: float) -> list[dict[str, Any]]:
    """The presets of one modality, of which the counts are remembered."""
    presets = remembered.facts("modality", modality)["presets"]
    targets = sorted({entry.target.partition(":")[0] for entry in load_plugins().entries()})
    rows: list[dict[str, Any]] = []
    with bar(f"counting weights and operations of '{modality}'") as progress:
        for preset, values in presets.items():
            about = dict(remembered.kept(f"{modality}:{preset}", targets, functools.partial(_about, modality, preset)))
            operations = about.pop("operations")
            hours = None if operations is None else operations / rate / 3600
            summary = str(values.get("summary", ""))
            rows.append({"modality": modality, "preset": preset, "summary": summary, **about, "hours": hours})
            progress(len(rows), len(presets))
    return rows


def _rate() -> float:
    """Operations a second of training on the device that 'auto' means, about."""
    from inrkit.machine.precision import choose_device
    from inrkit.machine.speed import matmul_rates

    return _SHARE * matmul_rates(choose_device("auto"))["fp32"]


def _about(modality: str, preset: str) -> dict[str, Any]:
    """Size, weights, steps and operations; None for what only data can tell."""
    from inrkit.config.resolve import imagined, resolve
    from inrkit.errors import UsageError
    from inrkit.training.fits import training_operations

    try:
        resolved = resolve(modality, preset)
    except UsageError:  # there are no synthetic signals
        return dict.fromkeys(("size", "weights", "steps", "batch_size", "operations"))
    config = resolved.config
    size = config.options.get("query_size") or config.options.get("size")
    pipeline = imagined(resolved)
    weights = None if pipeline is None else sum(parameter.numel() for parameter in pipeline.parameters())
    counted = {"weights": weights, "operations": training_operations(resolved, pipeline)}
    return {"size": size, "steps": config.steps, "batch_size": config.batch_size, **counted}


def _cells(row: dict[str, Any]) -> list[str]:
    size = "-" if row["size"] is None else "x".join(map(str, reversed(row["size"])))
    weights = "-" if row["weights"] is None else shown_count(row["weights"]).strip()
    length = "-" if row["steps"] is None else f"{row['steps']:,} x {row['batch_size']}"
    time = "-" if row["hours"] is None else shown_time(3600 * row["hours"])
    return [row["preset"], size, weights, length, time, row["summary"]]
