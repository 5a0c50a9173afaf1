"""One-step samples per second of the image model, as a fraction of the machine's matrix-multiply rate.

    python benchmarks/sampling.py [--size 32 64] [--width 256] [--scale 1 2 4] [--threads 2] [--rounds 5] [--json]

A sample is noise, one pass of the hyper-network and the INR rendered at ``scale`` times the trained size. Counted are
the operations in matrix products that this needs; "of matmul" is their number divided by the time and by the rate of
square matrix products in the same precision, both medians of this run. The reference is the plain fp32 implementation
in reference.py with the same weights and noise, which renders all pixels at once; its samples have to agree with ours
before anything is timed, and it takes turns with us.
"""

import argparse
import functools
import itertools
from typing import Any

import attrs
import torch
from measure import begin, in_turns, matmul_rates, options, report
from model import configured, loosened, reference_of
from reference import Reference
from torch import Tensor

import inrkit
from inrkit.core.noise import T_MAX
from inrkit.core.pipeline import Pipeline
from inrkit.machine.precision import autocast
from inrkit.machine.speed import operations

CPU = torch.device("cpu")
TOLERANCE = {"fp32": 1e-4, "bf16": 5e-2}


@torch.no_grad()
def ours(pipeline: Pipeline, template: inrkit.Observation, where: inrkit.Grid, precision: str) -> Tensor:
    """Samples (B, C, H, W)."""
    with autocast(precision, CPU):
        prediction = inrkit.sample(pipeline, template, inrkit.Draws(0, len(template)))
        return prediction.signal if where.size == template.where.size else prediction.at(where)


@torch.no_grad()
def needed(pipeline: Pipeline, modality: Any, where: inrkit.Grid, batch: int) -> float:
    """Operations of one pass and one rendering, without what chunks repeat; rows share what depends on places alone."""

    def count(rows: int) -> int:
        template, t = modality.template(rows), torch.full((rows,), T_MAX)
        return operations(lambda: whole.show(whole.params(template, t), where, t))

    everything = inrkit.SampleGrid(chunk=batch * where.count)
    whole = Pipeline(pipeline.denoiser, attrs.evolve(pipeline.measure, transform=everything))
    one, two = count(1), count(2)
    return one + (batch - 1) * (two - one)


@torch.no_grad()
def plain(reference: Reference, template: inrkit.Observation, where: inrkit.Grid) -> Tensor:
    """The same from the reference."""
    count = len(template)
    noise = T_MAX * inrkit.Draws(0, count).normal(*template.values.shape[1:])
    coords = where.coords(0, where.count).expand(count, -1, -1)
    rendered = reference.render(noise, torch.full((count,), T_MAX), coords)
    return rendered.reshape(*rendered.shape[:2], *where.size)


def agree(found: Tensor, expected: Tensor, precision: str) -> None:
    """Stops when samples differ by more than the precision allows, relative to how they vary."""
    difference = float((found - expected).square().mean().sqrt() / expected.std())
    assert difference < TOLERANCE[precision], f"{precision}: samples differ from the reference's by {difference:.3f}"


def measure(size: int, scale: int, chosen: argparse.Namespace) -> list[dict[str, Any]]:
    """Rows of the table for one size and scale."""
    resolved, batch = configured(chosen.width, size=size), chosen.batch
    modality = resolved.modality
    pipeline = loosened(modality.build(resolved.readout).eval())
    reference = reference_of(resolved, pipeline)
    template, where = modality.template(batch), inrkit.Grid((scale * size, scale * size))
    expected = plain(reference, template, where)
    runs = {name: functools.partial(ours, pipeline, template, where, name) for name in chosen.precision}
    for name, run in runs.items():
        agree(run(), expected, name)
    work, rates = (
        needed(pipeline, modality, where, batch),
        matmul_rates(chosen.matmul, list({"fp32", *chosen.precision})),
    )
    seconds = in_turns({"reference": functools.partial(plain, reference, template, where), **runs}, chosen.rounds)
    return [
        {
            "trained": f"{size}x{size}",
            "shown": f"{scale * size}x{scale * size}",
            "what": name if name == "reference" else f"inrkit {name}",
            "ms/sample": 1000 * seconds[name] / batch,
            "samples/s": batch / seconds[name],
            "GFLOP/sample": work / batch / 1e9,
            "of matmul": work / seconds[name] / rates["bf16" if name == "bf16" else "fp32"],
            "x reference": seconds["reference"] / seconds[name],
        }
        for name in seconds
    ]


def main(arguments: list[str] | None = None) -> None:
    parser = options(__doc__, rounds=5)
    parser.add_argument("--size", type=int, nargs="+", default=[32, 64], help="trained at [%(default)s]")
    parser.add_argument("--scale", type=int, nargs="+", default=[1, 2, 4], help="shown this much larger [%(default)s]")
    parser.add_argument("--width", type=int, default=256, help="of the hyper-network [%(default)s]")
    parser.add_argument("--batch", type=int, default=16, help="samples at a time [%(default)s]")
    chosen = parser.parse_args(arguments)
    begin(chosen)
    rates = matmul_rates(chosen.matmul, chosen.precision)
    rows: list[dict[str, Any]] = []
    for size, scale in itertools.product(chosen.size, chosen.scale):
        rows += measure(size, scale, chosen)
    facts = {"threads": chosen.threads} | {f"matmul {name} GFLOP/s": rate / 1e9 for name, rate in rates.items()}
    report(f"one-step sampling, width {chosen.width}, {chosen.batch} at a time", rows, facts, as_json=chosen.json)


if __name__ == "__main__":
    main()
