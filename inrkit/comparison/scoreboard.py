"""A comparison on one page, as a Markdown table, and as sheets from the same noise."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from inrkit.drawing.page import Block, Report, Rows, Section, Table, save_report
from inrkit.drawing.sheet import CLEAR, labelled_rows, save_png, sheet
from inrkit.storage import atomic

_Cells = Mapping[str, Callable[[Mapping[str, Any]], str]]


def table_of(result: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the table: one row for each system, means over its runs with their spread."""
    systems = result["systems"]
    good = next(row for row in systems if "reason" not in row)
    cells: dict[str, Callable[[Mapping[str, Any]], str]] = {
        "runs": lambda row: str(row["runs"]) + (f", {row['failed']} failed" if row["failed"] else ""),
        "parameters": lambda row: _count(row["parameters"]),
        "FLOPs per sample": lambda row: _count(row["sample_operations"]),
        "FLOPs per step": lambda row: _count(row["step_operations"]),
        "steps": lambda row: f"{row['step']:,.0f}",
        "training FLOPs": lambda row: _count(row["training_operations"]),
        "training min": lambda row: _figure(row["training_seconds"], 1 / 60, 1),
        "memory": lambda row: _figure(row["training_memory"], 1 / 2**20, 0, " MiB"),
        "ms per sample": lambda row: _figure(row["sample_seconds"], 1000, 2),
    }
    for place in good["rate"]:
        cells[f"samples/s at {place}"] = lambda row, place=place: _figure(row["rate"][place], 1, 1)  # type: ignore[misc]
    cells["PSNR, dB"] = lambda row: _figure(row["encode"], 1, 2)
    # A diffusion model has no samples of one step, and a consistency model need not show those of many.
    for times in dict.fromkeys(name for row in systems for name in row.get("frechet", {})):
        cells[f"Fréchet, {times}"] = lambda row, times=times: _figure(row["frechet"].get(times, {}), 1, 2)  # type: ignore[misc]
    rows = []
    for row in systems:
        if "reason" in row:
            rows.append([row["name"], str(row["runs"]), row["reason"], *[""] * (len(cells) - 2)])
        else:
            rows.append([row["name"], *(cell(row) for cell in cells.values())])
    return ["system", *cells], rows


def note_of(result: Mapping[str, Any]) -> str:
    """What the figures are."""
    spaces = " and ".join(result["spaces"])
    return (
        f"PSNR: reconstruction of held-out signals. Fréchet distances, in the features {spaces} of {result['n']:,} "
        "signals, are divided by those of as many training signals; 1 is perfect. Means over runs, ± standard "
        "deviation. FLOPs count matrix products and convolutions; a step is forward, backward, teacher and optimizer."
    )


def write_scoreboard(result: Mapping[str, Any], shown: Mapping[str, Mapping[str, Tensor]], out: Path) -> None:
    """`compare.md`, `compare.html`, and a sheet for each kind of picture."""
    head, rows = table_of(result)
    lines = [head, ["---"] * len(head), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    atomic.write_text(out / "compare.md", f"{text}\n\n{note_of(result)}\n")
    sections = [Section("Figures", [Table(head, rows, note_of(result))])]
    for kind in dict.fromkeys(name for kinds in shown.values() for name in kinds if name != "original"):
        pictures = _pictures(kind, shown)
        sections.append(Section(kind[:1].upper() + kind[1:], _rows(pictures), _LEADS.get(kind, _SAMPLES)))
        save_png(labelled_rows(pictures), out / f"{kind.replace(' ', '-')}.png")
    report = Report(
        title="Comparison",
        subtitle=f"{len(result['systems'])} systems, {len(result['rows'])} runs, the same signals and the same noise.",
        numbers={},
        sections=sections,
    )
    save_report(report, out / "compare.html")


_SAMPLES = "Uncurated samples; all of a column start from the same noise."
_LEADS = {"encode": "Held-out signals in the first row, and each system's reconstructions below."}


def _pictures(kind: str, shown: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    rows = {name: kinds[kind] for name, kinds in shown.items() if kind in kinds}
    if kind == "encode":
        rows = {"original": next(iter(shown.values()))["original"], **rows}
    return rows


def _rows(pictures: Mapping[str, Tensor]) -> Sequence[Block]:
    return [Rows([(name, sheet(part, columns=len(part), paper=CLEAR)) for name, part in pictures.items()])]


def _figure(value: Mapping[str, float], factor: float, digits: int, unit: str = "") -> str:
    if "mean" not in value:
        return "-"
    spread = f" ± {value['std'] * factor:.{digits}f}" if "std" in value else ""
    return f"{value['mean'] * factor:,.{digits}f}{spread}{unit}"


def _count(value: float) -> str:
    for unit, size in (("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g}"
