"""Makes the tables of docs/performance.md and docs/roofline.png of what benchmarks/all.py has measured.

python docs/performance.py [docs/performance.json]
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from inrkit.drawing.curve import Axis, make_axis, number
from inrkit.drawing.sheet import save_png

FOLDER = Path(__file__).parent
PAGE, PICTURE = FOLDER / "performance.md", FOLDER / "roofline.png"
SIZE, LEFT, RIGHT, TOP, BOTTOM = (1200, 760), 110, 250, 40, 80
INK, SOFT, LINE = (29, 31, 36), (106, 110, 120), (227, 225, 220)
COLOURS = {"image": (50, 87, 214), "nerf": (217, 89, 43), "audio": (36, 147, 110)}
NAMES = {"image": "images", "nerf": "objects (NeRF)", "audio": "sound"}
SHARES = {"of matmul", "asked"}
# Benchmark: heading and key of each column.
TABLES = {
    "modalities": {
        "": "what",
        "number format": "precision",
        "GFLOP": "GFLOP",
        "seconds": "seconds",
        "GFLOP/s": "GFLOP/s",
        "of the matrix rate": "of matmul",
        "FLOP/byte": "FLOP/byte",
    },
    "training": {
        "width": "width",
        "": "what",
        "ms a step": "ms/step",
        "GFLOP": "GFLOP",
        "of the matrix rate": "of matmul",
        "times the reference": "x reference",
    },
    "sampling": {
        "shown at": "shown",
        "": "what",
        "samples a second": "samples/s",
        "GFLOP a sample": "GFLOP/sample",
        "of the matrix rate": "of matmul",
        "times the reference": "x reference",
    },
    "rendering": {
        "size": "size",
        "seconds": "render s",
        "million points a second": "Mpoints/s",
        "memory of the process (MB)": "MB",
        "times the reference": "x reference",
    },
    "fields": {
        "way": "way",
        "seconds": "seconds",
        "points asked": "asked",
        "of the matrix rate": "of matmul",
        "PSNR (dB)": "PSNR",
        "times plain": "x plain",
    },
    "growth": {
        "growing": "growing",
        "to": "value",
        "seconds": "seconds",
        "GFLOP": "GFLOP",
        "times the seconds": "x seconds",
        "times the operations": "x GFLOP",
    },
    "peers": {"": "what", "who": "who", "seconds": "seconds", "times as fast as the peer": "x peer"},
}
TASKS = {"training": "T", "sampling": "S", "rendering": "R"}  # encoding lies where sampling does
Machines = Mapping[str, Mapping[str, Any]]


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def cell(row: Mapping[str, Any], key: str) -> str:
    """Three digits of what is not a whole number; shares in per cent."""
    value = row[key]
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) else str(value)
    if key in SHARES:
        return f"{value:.0%}"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def rows_of(machine: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """What a benchmark found; "what" says in words what a row is about."""
    found: list[dict[str, Any]] = machine.get(name, {}).get("rows", [])
    if name != "modalities":
        return found
    units = {True: "points", False: "signals"}
    return [
        {**r, "what": f"{NAMES[r['modality']]}: {r['task']} {r['count']:,} {units[r['task'] == 'rendering']}"}
        for r in found
    ]


def tables(machines: Machines, name: str) -> str:
    """One for every processor that has these figures."""
    parts = []
    for title, machine in machines.items():
        if rows := rows_of(machine, name):
            facts, found = machine["machine"], machine[name]
            rates = {k.split()[1]: cell(found, k) for k in found if k.startswith("matmul ")}
            count = found.get("threads", facts["threads"])
            threads = "one thread" if count == 1 else f"{count} threads"
            clock = ", in the processor's seconds" if facts["cpu_time"] else ""
            shown = ", ".join(f"{kind} {rate}" for kind, rate in rates.items())
            columns = TABLES[name]
            cells = [[cell(row, key) for key in columns.values()] for row in rows]
            parts.append(f"{title}, {threads}{clock}; matrix products: {shown} GFLOP/s")
            parts.append(table(list(columns), cells))
    return "\n\n".join(parts)


def filled(page: str, machines: Machines) -> str:
    """The page with the tables of what was measured between its marks."""
    for name in TABLES:
        mark = f"<!-- {name} -->\n"
        assert page.count(mark) == 2, f"{PAGE}: expected '{mark.strip()}' before and after a table"
        before, _, after = page.split(mark)
        found = tables(machines, name)
        page = f"{before}{mark}{found and f'{chr(10)}{found}{chr(10)}{chr(10)}'}{mark}{after}"
    return page


# ---------------------------------------------------------------------------------------------- the picture


def roofline(machine: Mapping[str, Any]) -> Image.Image:
    """Rates over operations for each byte, below what the processor and its memory allow."""
    facts, rows = machine["modalities"], rows_of(machine, "modalities")
    roofs = {k.split()[1]: v for k, v in facts.items() if k.startswith("matmul ")}
    roofs = {kind: max([rate, *(r["GFLOP/s"] for r in rows if r["precision"] == kind)]) for kind, rate in roofs.items()}
    wide, high = SIZE
    x = make_axis([1, 150], LEFT, wide - RIGHT, log=True)
    y = make_axis([8, 1.5 * max(roofs.values())], high - BOTTOM, TOP, log=True)
    image = Image.new("RGB", SIZE, (255, 255, 255))
    draw, font, small = ImageDraw.Draw(image), ImageFont.load_default(19), ImageFont.load_default(16)
    frame(draw, x, y, font)
    label = (x.dot(20) - 12, y.dot(20 * facts["GB/s"]) - 4)
    draw.text(label, f"memory: {facts['GB/s']:.0f} GB/s", fill=INK, font=font, anchor="rb")
    for kind, rate in roofs.items():
        knee = rate / facts["GB/s"]
        corners = [(x.low, facts["GB/s"] * x.low), (knee, rate), (x.high, rate)]
        draw.line([(x.dot(a), y.dot(max(b, y.low))) for a, b in corners], fill=INK, width=3)
        draw.text((x.dot(x.high) + 8, y.dot(rate) - 11), f"{kind} products", fill=INK, font=font)
    for row in rows:
        if row["task"] in TASKS:
            spot(draw, (x.dot(row["FLOP/byte"]), y.dot(row["GFLOP/s"])), row, small)
    legend(draw, (wide - RIGHT + 20, high // 2), font, small)
    return image


def frame(draw: ImageDraw.ImageDraw, x: Axis, y: Axis, font: Any) -> None:
    for tick in y.ticks():
        draw.line([(x.start, y.dot(tick)), (x.stop, y.dot(tick))], fill=LINE)
        draw.text((x.start - 10, y.dot(tick)), number(tick), fill=SOFT, font=font, anchor="rm")
    for tick in x.ticks():
        draw.line([(x.dot(tick), y.start), (x.dot(tick), y.stop)], fill=LINE)
        draw.text((x.dot(tick), y.start + 10), number(tick), fill=SOFT, font=font, anchor="mt")
    middle = (x.start + x.stop) / 2
    draw.text(
        (middle, y.start + 44), "operations for each byte that they read and write", fill=INK, font=font, anchor="mt"
    )
    draw.text((x.start, y.stop - 8), "GFLOP/s", fill=INK, font=font, anchor="rb")


def spot(draw: ImageDraw.ImageDraw, place: tuple[float, float], row: Mapping[str, Any], font: Any) -> None:
    """A disc with the task's letter; bf16 is a ring."""
    (a, b), colour, full = place, COLOURS[row["modality"]], row["precision"] == "fp32"
    draw.ellipse([a - 10, b - 10, a + 10, b + 10], fill=colour if full else "white", outline=colour, width=2)
    draw.text((a, b), TASKS[row["task"]], fill="white" if full else colour, font=font, anchor="mm")


def legend(draw: ImageDraw.ImageDraw, corner: tuple[int, int], font: Any, small: Any) -> None:
    left, top = corner
    for modality, colour in COLOURS.items():
        draw.ellipse([left, top + 3, left + 16, top + 19], fill=colour)
        draw.text((left + 26, top), NAMES[modality], fill=INK, font=font)
        top += 30
    for text in (
        *(f"{letter}  {task}" for task, letter in TASKS.items()),
        "    (encoding is where S is)",
        "full: fp32, ring: bf16",
    ):
        draw.text((left, top + 8), text, fill=SOFT, font=small)
        top += 24


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measured", type=Path, nargs="?", default=FOLDER / "performance.json")
    machines = json.loads(parser.parse_args().measured.read_text())
    PAGE.write_text(filled(PAGE.read_text(), machines))
    first = next(machine for machine in machines.values() if rows_of(machine, "modalities"))
    print("written:", PAGE, save_png(roofline(first), PICTURE))


if __name__ == "__main__":
    main()
