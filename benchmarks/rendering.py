"""Rendering of one encoded image at any size: points per second, and the memory it takes.

    python benchmarks/rendering.py [--size 32 256 1024 4096] [--threads 2] [--rounds 3] [--json]

Each size is rendered from an INR file and written as a PNG in a fresh process, by the calls that `inrkit render` makes.
"MB" is the most memory that process ever had, "grown" how much of it came after imports, file and model. Points per
second are those of rendering alone: in that process, and "x reference" in turns with the plain implementation of
reference.py, up to 512 x 512 because it has all points in memory at once. "of matmul" is the rate of needed operations
in matrix products, as a fraction of that of square fp32 products in this run.
"""

import argparse
import functools
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from measure import begin, in_turns, matmul_rate, now, options, peak_memory, report
from model import configured, loosened, reference_of
from reference import Reference
from torch import Tensor

import inrkit
from inrkit.inference.model import Model
from inrkit.machine.speed import operations
from inrkit.storage.inrfile import save_inr

CPU = torch.device("cpu")
IN_TURNS_UP_TO = 512
TOLERANCE = 1e-3


def render_once(source: Path, size: int, threads: int) -> dict[str, float]:
    """What the fresh process does: seconds of rendering and of writing, and bytes of memory before and at most."""
    torch.set_num_threads(threads)
    opened = inrkit.open_inr(source)
    opened.render()
    before, begin = peak_memory(), now()
    values = opened.render({"size": f"{size}x{size}"})
    rendered = now()
    opened.modality.display.write(values, source.with_suffix(".png"))
    written = now()
    return {"render": rendered - begin, "write": written - rendered, "before": before, "peak": peak_memory()}


def fresh(source: Path, size: int, chosen: argparse.Namespace) -> dict[str, float]:
    """`render_once` in a process of its own."""
    command = [sys.executable, __file__, "--child", str(source), "--size", str(size), "--threads", str(chosen.threads)]
    command += ["--cpu-time"] * chosen.cpu_time
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def encoded(width: int, source: Path) -> tuple[Model, Reference, dict[str, Tensor]]:
    """A model, its plain counterpart and the params of one image, which also stand in the file ``source``."""
    resolved = configured(width)
    pipeline = loosened(resolved.modality.build(resolved.readout).eval())
    model = Model(resolved.modality, pipeline, resolved.config, Path("benchmark"), 0)
    prediction = model.encode(resolved.source("test").read(range(1)))
    save_inr(source, model.inr(prediction, 0))
    return model, reference_of(resolved, model.pipeline), dict(prediction.params)


@torch.no_grad()
def in_turns_with_reference(
    model: Model, reference: Reference, params: dict[str, Tensor], size: int, rounds: int
) -> float:
    """How many times faster than the plain implementation a size is rendered; both must show the same."""
    where, t = inrkit.Grid((size, size)), torch.zeros(1)
    coords = where.coords(0, where.count)
    ours = functools.partial(model.pipeline.show, params, where, t)
    plain = functools.partial(reference.function, params["tokens"], coords)
    difference = float((ours().flatten(2) - plain().transpose(1, 2)).abs().max())
    assert difference < TOLERANCE, f"the image differs from the reference's by {difference}"
    seconds = in_turns({"reference": torch.no_grad()(plain), "inrkit": torch.no_grad()(ours)}, rounds)
    return seconds["reference"] / seconds["inrkit"]


@torch.no_grad()
def work_of(model: Model, params: dict[str, Tensor]) -> float:
    """Needed operations in matrix products for one point."""
    where = inrkit.Grid((128, 128))
    return operations(functools.partial(model.pipeline.show, params, where, torch.zeros(1))) / where.count


def main(arguments: list[str] | None = None) -> None:
    parser = options(__doc__, rounds=3)
    parser.add_argument("--size", type=int, nargs="+", default=[32, 128, 512, 2048, 4096], help="%(default)s")
    parser.add_argument("--width", type=int, default=256, help="of the hyper-network [%(default)s]")
    parser.add_argument("--child", type=Path, help="render this INR file once, in this process, and say so in JSON")
    chosen = parser.parse_args(arguments)
    begin(chosen)
    if chosen.child is not None:
        print(json.dumps(render_once(chosen.child, chosen.size[0], chosen.threads)))
        return
    rate, rows = matmul_rate(torch.float32, chosen.matmul), list[dict[str, Any]]()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "image.inr"
        model, reference, params = encoded(chosen.width, source)
        work = work_of(model, params)
        for size in chosen.size:
            rows.append(row(size, fresh(source, size, chosen), work, rate))
            if size <= IN_TURNS_UP_TO:
                rows[-1]["x reference"] = in_turns_with_reference(model, reference, params, size, chosen.rounds)
    facts = {"threads": chosen.threads, "matmul fp32 GFLOP/s": rate / 1e9, "kFLOP/point": work / 1e3}
    report("rendering of one INR", rows, facts, as_json=chosen.json)


def row(size: int, found: dict[str, float], work: float, rate: float) -> dict[str, Any]:
    """A row of the table."""
    points = size**2 / found["render"]
    return {
        "size": f"{size}x{size}",
        "render s": found["render"],
        "write s": found["write"],
        "Mpoints/s": points / 1e6,
        "of matmul": points * work / rate,
        "grown MB": (found["peak"] - found["before"]) / 1e6,
        "MB": found["peak"] / 1e6,
        "x reference": "-",
    }


if __name__ == "__main__":
    main()
