"""How cost grows with resolution, batch, width and points: seconds and operations, beside the smallest of each.

    python benchmarks/growth.py [--threads 2] [--rounds 3] [--json]

A training step of the default image preset in fp32, with one thing changed at a time; and one encoded image rendered at
more and more points. "x seconds" and "x GFLOP" are multiples of the first row of each kind, in turns with it.
"""

import argparse
import functools
from collections.abc import Callable
from typing import Any

import torch
from measure import begin, in_turns, matmul_rate, options, report
from modalities import CPU, trained
from model import loosened

import inrkit
from inrkit.config.resolve import Resolved
from inrkit.machine.processes import Ranks
from inrkit.machine.speed import operations
from inrkit.training.trial import Trial

GROWING: dict[str, list[int]] = {"resolution": [16, 32, 64], "batch": [8, 16, 32], "width": [192, 384, 768]}
POINTS = [64, 128, 256, 512]


def resolved_of(what: str, value: int, chosen: argparse.Namespace) -> Resolved:
    """The default preset, with one thing changed."""
    width = value if what == "width" else chosen.middle
    options: dict[str, Any] = {"width": width, "heads": max(1, width // 64), "hidden": 2 * width}
    if what == "resolution":
        options |= {"size": [value, value]}
    rows = value if what == "batch" else chosen.rows
    return inrkit.resolve("image", flags={"precision": "fp32", "batch_size": rows, "options": options})


def measured(what: str, runs: dict[int, Callable[[], object]], rounds: int) -> list[dict[str, Any]]:
    """Rows of one kind."""
    work = {value: operations(run) for value, run in runs.items()}
    seconds = in_turns({str(value): run for value, run in runs.items()}, rounds)
    first = next(iter(runs))
    return [
        {
            "growing": what,
            "value": value,
            "seconds": seconds[str(value)],
            "GFLOP": work[value] / 1e9,
            "GFLOP/s": work[value] / seconds[str(value)] / 1e9,
            "x seconds": seconds[str(value)] / seconds[str(first)],
            "x GFLOP": work[value] / work[first],
        }
        for value in runs
    ]


def training(what: str, chosen: argparse.Namespace) -> list[dict[str, Any]]:
    runs: dict[int, Callable[[], object]] = {}
    for value in getattr(chosen, what):
        trial = Trial(resolved_of(what, value, chosen), Ranks(), CPU, "fp32")
        runs[value] = trial.step(trial.learner.phases[-1], 0.75)
    return measured(what, runs, chosen.rounds)


@torch.no_grad()
def rendering(chosen: argparse.Namespace) -> list[dict[str, Any]]:
    resolved = resolved_of("points", 0, chosen)
    trial = Trial(resolved, Ranks(), CPU, "fp32")
    loosened(trial.learner.pipeline)
    prediction = trained(resolved, trial, "fp32").encode(resolved.source("test").read(range(1)))
    runs: dict[int, Callable[[], object]] = {
        side * side: torch.no_grad()(functools.partial(prediction.at, inrkit.Grid((side, side))))
        for side in chosen.points
    }
    return measured("points", runs, chosen.rounds)


def main(arguments: list[str] | None = None) -> None:
    parser = options(__doc__, rounds=3)
    for what, values in GROWING.items():
        parser.add_argument(f"--{what}", type=int, nargs="+", default=values, help="%(default)s")
    parser.add_argument("--points", type=int, nargs="+", default=POINTS, help="sides of squares %(default)s")
    parser.add_argument("--rows", type=int, default=16, help="signals in a step where the batch does not grow")
    parser.add_argument("--middle", type=int, default=384, help="width where it does not grow [%(default)s]")
    chosen = parser.parse_args(arguments)
    begin(chosen)
    rows = [row for what in GROWING for row in training(what, chosen)] + rendering(chosen)
    facts = {"threads": chosen.threads, "matmul fp32 GFLOP/s": matmul_rate(torch.float32, chosen.matmul) / 1e9}
    report("how cost grows", rows, facts, as_json=chosen.json)


if __name__ == "__main__":
    main()
