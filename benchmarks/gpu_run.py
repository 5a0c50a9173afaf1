"""A few minutes of the cifar10 preset on a GPU: losses, held-out figures, sheets of samples, images a second.

    python benchmarks/gpu_run.py [--device auto] [--seconds 120] [--pictures FOLDER] [--smoke] [--json]

It learns from the store or the folder of pictures that the variable DATA names, else from the built-in faces of 32 x 32
pixels, by the very call of `inrkit train`. The number of steps is what fits into the time. There is a row at each sheet
of samples, so that a run that is cut leaves what it has.
"""

import argparse
import contextlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerator import Rows, resolved_for, run
from PIL import Image, ImageDraw

import inrkit
from inrkit.drawing.curve import make_axis, number, running_mean, thinned
from inrkit.report.sheets import write_samples

DEFAULT_SECONDS, RESERVE = 120.0, 10.0
SHEETS, KEPT = 200, 120
"""Steps between sheets of samples, and losses that are kept."""
FACES = 20_000


def main(arguments: list[str] | None = None) -> None:
    run(__doc__, measure, arguments)


def measure(chosen: argparse.Namespace, device: torch.device, rows: Rows) -> None:
    values: dict[str, Any] = {"sample_every": SHEETS, "save_every": 100_000, "log_every": 10, "precision": "auto"}
    values["workers"] = max(0, min(14, (os.cpu_count() or 1) - 2))
    minutes: float | None = (min(rows.left, DEFAULT_SECONDS if rows.left == float("inf") else rows.left) - RESERVE) / 60
    if chosen.smoke:
        values |= {"sample_every": 3, "log_every": 1, "steps": 6, "batch_size": 8, "warmup": 2, "workers": 0}
        minutes = None
    else:
        values["options"] = {"count": FACES}
    if data := os.environ.get("DATA"):
        values["data"] = f"files://{data}?size=32x32" if Path(data).is_dir() else data
    resolved, began = resolved_for("image", "cifar10", device, smoke=chosen.smoke, **values), time.monotonic()
    with tempfile.TemporaryDirectory() as folder, rows.attempt("run"):
        out = Path(folder) / "run"

        def on_sample(model: inrkit.Model, run_dir: Path, step: int) -> Path:
            path = write_samples(model, run_dir, step)
            logged = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
            rows.add(what="sheet", step=step, seconds=time.monotonic() - began, **heldout(logged))
            if chosen.pictures is not None:
                shutil.copy(path, chosen.pictures / "samples.png")
                save_curve(losses(logged), chosen.pictures / "losses.png")
            return path

        with stopped_in_time(rows), inrkit.process_setup():
            inrkit.train(resolved, out, minutes=minutes, on_sample=on_sample, on_end=lambda model, path: None)
        rows.add(what="run", **summary(out, resolved))


@contextlib.contextmanager
def stopped_in_time(rows: Rows) -> Iterator[None]:
    """A run that was told to stop has saved, and shows what there is."""
    try:
        yield
    except inrkit.InrkitError as error:
        rows.add(what="stopped", reason=str(error))


def heldout(logged: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The newest figures of held-out signals."""
    found = [{k: v for k, v in line.items() if k.startswith("heldout/")} for line in logged]
    return next((line for line in reversed(found) if line), {})


def losses(logged: Sequence[dict[str, Any]]) -> list[tuple[float, float]]:
    return [(line["step"], line["loss"]) for line in logged if line.get("loss") is not None]


def summary(out: Path, resolved: inrkit.Resolved) -> dict[str, Any]:
    """Figures of the whole run, and some of its losses by step."""
    logged, timing = (
        [json.loads(line) for line in (out / name).read_text().splitlines()]
        for name in ("metrics.jsonl", "timing.jsonl")
    )
    kept = thinned(losses(logged), KEPT)
    return {
        "data": "DATA" if os.environ.get("DATA") else "built-in faces",
        "steps": logged[-1]["step"] if logged else 0,
        "batch": resolved.config.batch_size,
        "timing": timing[-1] if timing else {},
        **heldout(logged),
        "losses": [[round(step), round(loss, 5)] for step, loss in kept],
    }


def save_curve(points: Sequence[tuple[float, float]], path: Path) -> None:
    """The loss by step, on a logarithmic scale, faint, and its running mean."""
    shown = [point for point in points if 0 < point[1] < float("inf")]
    if len(shown) < 2:
        return
    image = Image.new("RGB", (800, 400), "white")
    draw = ImageDraw.Draw(image)
    x_axis = make_axis([step for step, _ in shown], 60, 780)
    y_axis = make_axis([loss for _, loss in shown], 370, 20, log=True)
    for tick in y_axis.ticks():
        draw.line([(60, y_axis.dot(tick)), (780, y_axis.dot(tick))], fill="#dddddd")
        draw.text((8, y_axis.dot(tick) - 6), number(tick), fill="black")
    for tick in x_axis.ticks():
        draw.text((x_axis.dot(tick), 380), number(tick), fill="black")
    for line, colour in ((shown, "#a8c4e0"), (running_mean(shown, max(3, len(shown) // 25)), "#1f5fa8")):
        draw.line([(x_axis.dot(step), y_axis.dot(loss)) for step, loss in line], fill=colour, width=2)
    image.save(path)


if __name__ == "__main__":
    main()
