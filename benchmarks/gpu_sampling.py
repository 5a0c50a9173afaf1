"""One-step samples of the 64-pixel preset of 145 M parameters on a GPU: seconds for 50,000.

    python benchmarks/gpu_sampling.py [--device auto] [--smoke] [--json]

A sample is noise, one pass of the hyper-network, the INR at all pixels, and 8-bit values in the computer's memory. The
rows of 64 at a time are what `Model.sample` does; others have more samples at a time, or more of their pixels. Batches
are made for some seconds, or until there are 50,000 samples; "s for 50,000" follows from their rate.
"""

import argparse
import functools
import time
from typing import Any

import attrs
import torch
from accelerator import FORMATS, Rows, formats_on, product_rates, resolved_for, run
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

import inrkit
from inrkit.comparison.operations import of_sample
from inrkit.core.pipeline import Pipeline
from inrkit.inference.model import BLOCK
from inrkit.machine.memory import forget_peak, peak_memory
from inrkit.machine.precision import autocast
from inrkit.machine.speed import synchronize

COUNT, LONGEST = 50_000, 6.0
LARGER, WHOLE = 256, 1 << 20
"""Samples at a time, and pixels of all of them at a time, of the rows that differ from what the program does."""


def main(arguments: list[str] | None = None) -> None:
    run(__doc__, measure, arguments)


@torch.no_grad()
def measure(chosen: argparse.Namespace, device: torch.device, rows: Rows) -> None:
    resolved = resolved_for("image", "celeba-64", device, smoke=chosen.smoke)
    pipeline = resolved.build().to(device).eval().requires_grad_(False)
    rates, work = product_rates(device, smoke=chosen.smoke), 0.0
    with rows.attempt("counting operations"), sdpa_kernel(SDPBackend.MATH), autocast("bf16", device):
        work = of_sample(pipeline, resolved.modality)
    count, longest = (BLOCK, 0.1) if chosen.smoke else (COUNT, LONGEST)
    larger = evolved(pipeline, WHOLE)
    ways = [("bf16", pipeline, BLOCK), ("bf16", larger, LARGER), ("bf16", larger, BLOCK), ("bf16", pipeline, LARGER)]
    ways += [(name, pipeline, BLOCK) for name in formats_on(device) if name != "bf16"]
    for name, which, batch in ways:
        what = f"{name}, {batch} at a time" + (", all their pixels at once" if which is larger else "")
        with rows.attempt(what, least=12):
            torch.set_float32_matmul_precision(FORMATS[name].products)
            found = timed(functools.partial(samples, which, resolved.modality, batch, name, device), device)
            made, seconds = repeated(found.pop("make"), batch, count, longest, device)
            speed = work * made / seconds
            figures = {
                "samples": made,
                "samples/s": made / seconds,
                "s for 50,000": COUNT * seconds / made,
                "GFLOP/sample": work / 1e9,
                "of matmul": speed / rates[name],
            }
            rows.add(figure="P3", what=what, **figures, **found)


def evolved(pipeline: Pipeline, chunk: int) -> Pipeline:
    """The same network, with more places of its INRs asked for at a time."""
    return Pipeline(pipeline.denoiser, attrs.evolve(pipeline.measure, transform=inrkit.SampleGrid(chunk=chunk)))


def samples(pipeline: Pipeline, modality: Any, batch: int, name: str, device: torch.device, seed: int) -> Tensor:
    """(B, C, H, W) uint8 in the computer's memory."""
    template = modality.template(batch).to(device)
    with autocast(FORMATS[name].precision, device):
        made = inrkit.sample(pipeline, template, inrkit.Draws(seed, batch, device=device))
    return made.signal.float().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8).cpu()


def timed(make: Any, device: torch.device) -> dict[str, Any]:
    """Warmed up, with the memory of one batch."""
    make(0)
    forget_peak(device)
    make(1)
    return {"make": make, "GB": (peak_memory(device) or 0) / 1e9}


def repeated(make: Any, batch: int, count: int, longest: float, device: torch.device) -> tuple[int, float]:
    """Samples made, and seconds, until there are enough or the time is over."""
    made, begin = 0, time.perf_counter()
    while made < count and time.perf_counter() - begin < longest:
        made += len(make(2 + made // batch))
    synchronize(device)
    return made, time.perf_counter() - begin


if __name__ == "__main__":
    main()
