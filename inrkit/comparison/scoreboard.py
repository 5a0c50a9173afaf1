"""A comparison on one page, as Markdown tables, and as sheets from the same noise."""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from torch import Tensor

from inrkit.drawing.layout import Layout
from inrkit.drawing.page import Report, Rows, Section, Table, save_report
from inrkit.drawing.sheet import CLEAR, save_sheet, sheet
from inrkit.storage import atomic

_System: TypeAlias = Mapping[str, Any]
_Cell: TypeAlias = Callable[[_System], str]

_TRAINING: dict[str, _Cell] = {
    "parameters": lambda row: _count(row["parameters"]),
    "FLOPs per step": lambda row: _count(row["step_flops"]),
    "steps": lambda row: f"{row['step']:,.0f}" + (f" of {row['steps']:,.0f}" if row["step"] < row["steps"] else ""),
    "training FLOPs": lambda row: _count(row["training_flops"]),
    "training min": lambda row: _figure(row["training_seconds"], 1 / 60, 1),
    "memory, MiB": lambda row: _figure(row["training_memory"], 1 / 2**20, 0),
}
_SAMPLING: dict[str, _Cell] = {
    "FLOPs per sample": lambda row: _count(row["sample_flops"]),
    "ms per sample": lambda row: _figure(row["sample_seconds"], 1000, 2),
}


def tables_of(result: Mapping[str, Any]) -> list[Table]:
    """How good the systems are, what training cost and what a sample costs: a row for each, means over its runs."""
    systems = result["systems"]
    quality: dict[str, _Cell] = {
        "runs": lambda row: str(row["runs"]) + (f", {row['failed']} failed" if row["failed"] else ""),
        "reconstruction PSNR, dB": lambda row: _figure(row["reconstruction"], 1, 2),
    }
    # A diffusion model has no samples of one step, and a consistency model need not show those of many.
    for steps in dict.fromkeys(name for row in systems for name in row.get("frechet_ratio", {})):
        quality[f"Fréchet, {steps}"] = functools.partial(_within, "frechet_ratio", steps, digits=2)
    places = next(row["rate"] for row in systems if "rate" in row)
    rates = {f"samples/s at {place}": functools.partial(_within, "rate", place, digits=1) for place in places}
    flops = "FLOPs are those of matrix products and convolutions: forward, backward, teacher and optimizer."
    return [
        _table("system", quality, systems, note_of(result)),
        _table("training", _TRAINING, systems, flops),
        _table("sampling", _SAMPLING | rates, systems, "In one step."),
    ]


def note_of(result: Mapping[str, Any]) -> str:
    """What the figures are."""
    failed = "".join(f" {row['name']} is left out: {row['reason']}." for row in result["systems"] if "reason" in row)
    if result["n"] < result["needed"]:
        return (
            f"Fréchet distances are not shown: they need {result['needed']} signals in each set, more than there are "
            f"features, because with fewer noise can score better than real signals; here are {result['n']:,}.{failed}"
        )
    return (
        "Fréchet figures are multiples of the floor, the distance of as many training signals from the held-out ones, "
        f"in the features {' and '.join(result['spaces'])}, {result['n']:,} signals in each set; real signals have 1. "
        f"Means over runs, ± standard deviation; Fréchet figures of a single run ± standard error from the choice of "
        f"signals.{failed}"
    )


def write_scoreboard(
    result: Mapping[str, Any], shown: Mapping[str, Mapping[str, Tensor]], out: Path, layout: Layout
) -> list[Path]:
    """`compare.md`, `compare.html`, and a sheet for each kind of picture; returns pictures and page."""
    tables = tables_of(result)
    written: list[Path] = []
    atomic.write_text(out / "compare.md", "\n".join(_markdown(table) for table in tables))
    sections = [Section("Figures", tables)]
    for kind in dict.fromkeys(name for kinds in shown.values() for name in kinds if name != "original"):
        rows = {name: kinds[kind] for name, kinds in shown.items() if kind in kinds}
        lead = "Uncurated samples; all of a column start from the same noise."
        if kind == "encode":
            rows = {"original": next(iter(shown.values()))["original"], **rows}
            lead = "Held-out signals in the first row, and each system's reconstructions below."
        pictures = [(name, sheet(part, columns=len(part), paper=CLEAR)) for name, part in rows.items()]
        title = "Reconstruction" if kind == "encode" else f"Samples in {kind}"
        sections.append(Section(title, [Rows(pictures)], lead))
        name = kind.replace(" ", "-")
        written += save_sheet(rows, layout.further(name), out / f"{name}.png")
    subtitle = f"{len(result['systems'])} systems, {len(result['rows'])} runs, the same signals and the same noise."
    return [*written, save_report(Report("Comparison", subtitle, {}, sections), out / "compare.html")]


def _table(title: str, columns: Mapping[str, _Cell], systems: list[_System], note: str) -> Table:
    rows = [[row["name"], *(cell(row) for cell in columns.values())] for row in systems if "reason" not in row]
    return Table([title, *columns], rows, note)


def _markdown(table: Table) -> str:
    lines = [table.head, ["---"] * len(table.head), *([cell.replace("|", "\\|") for cell in row] for row in table.rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + f"\n\n{table.note}\n"


def _figure(value: Mapping[str, float], factor: float, digits: int) -> str:
    if "mean" not in value:
        return "-"
    spread = value.get("std", value.get("error"))
    around = f" ± {spread * factor:.{digits}f}" if spread is not None else ""
    return f"{value['mean'] * factor:,.{digits}f}{around}"


def _within(key: str, name: str, row: _System, *, digits: int) -> str:
    return _figure(row[key].get(name, {}), 1, digits)


def _count(value: float) -> str:
    for unit, size in (("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g}"
