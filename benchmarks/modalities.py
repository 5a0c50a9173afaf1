"""Training, sampling, encoding and rendering of each kind of signal: operations, rate, and the machine's own rate.

    python benchmarks/modalities.py [--modality image nerf audio] [--task training ...] [--precision fp32 bf16]
                                    [--threads 2] [--rounds 3] [--json]

The default presets, with weights that are not those of the start:

    training   a whole step (signals read, teacher, student, clipping, optimizer, averages), late in the curriculum
    sampling   one-step samples, as `inrkit.Model.sample` draws them
    encoding   held-out signals, as `inrkit.Model.encode` does it
    rendering  of one INR: an image of 256 x 256 pixels, a view of 128 x 128 rays, a second of sound at 16 kHz

Counted are all operations in matrix products and convolutions, the optimizer's too. "of matmul" is their number a
second as a share of that of square matrix products in the same precision, in turns with them in this run. "FLOP/byte"
is the number of operations for each byte of the tensors that go in and out of every operation, which says whether the
processor or its memory sets the limit (docs/roofline.png); "GB/s" is how fast this machine copies.
"""

import argparse
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from measure import DTYPES, begin, in_turns, matmul_rates, options, report
from model import loosened
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

import inrkit
from inrkit.config.resolve import Resolved
from inrkit.inference.model import Model, build_model
from inrkit.machine.processes import Ranks
from inrkit.machine.speed import operations
from inrkit.training.trial import Trial

CPU = torch.device("cpu")
RENDERED = {"image": "size=256x256", "nerf": "orbit=1&size=128x128", "audio": "rate=16000"}
TASKS = ("training", "sampling", "encoding", "rendering")


class Traffic(TorchDispatchMode):
    """Counts the bytes of the tensors that operations read and write, as if nothing stayed in a cache."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's own is not annotated
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if not func.is_view:
            self.total += sum(x.numel() * x.element_size() for x in tree_iter((args, out)) if isinstance(x, Tensor))
        return out


def resolved_of(name: str, precision: str, batch: int | None, sets: Sequence[str]) -> Resolved:
    """The default preset."""
    flags = {"precision": precision, "device": "cpu", **({} if batch is None else {"batch_size": batch})}
    return inrkit.resolve(name, overrides=sets, flags=flags)


def tasks(resolved: Resolved, precision: str, wanted: Sequence[str]) -> dict[str, tuple[Callable[[], object], int]]:
    """What is measured, and how many signals (or points, in rendering) each call is about."""
    trial = Trial(resolved, Ranks(), CPU, precision)
    loosened(trial.learner.pipeline)
    model, n = trained(resolved, trial, precision), 16
    signals = resolved.source("test").read(range(n))
    prediction = model.encode(signals).rows(slice(0, 1))
    name = resolved.config.modality
    (where, *_) = model.modality.display.places(dict(pair.split("=") for pair in RENDERED[name].split("&")))
    found: dict[str, tuple[Callable[[], object], int]] = {
        "training": (trial.step(trial.learner.phases[-1], 0.75), resolved.config.batch_size),
        "sampling": (functools.partial(model.sample, n), n),
        "encoding": (functools.partial(model.encode, signals), n),
        "rendering": (torch.no_grad()(functools.partial(prediction.at, where)), where.count),
    }
    return {task: found[task] for task in wanted}


def trained(resolved: Resolved, trial: Trial, precision: str) -> Model:
    """A model with the trial's weights."""
    model = build_model(resolved, Path("benchmark"), 0, CPU)
    model.pipeline.load_state_dict(trial.learner.pipeline.state_dict())
    model.precision = precision
    return model


def measure(name: str, precision: str, chosen: argparse.Namespace) -> list[dict[str, Any]]:
    """Rows of one kind of signal in one precision."""
    resolved = resolved_of(name, precision, chosen.batch, chosen.set)
    rows = []
    for task, (run, count) in tasks(resolved, precision, chosen.task).items():
        run()
        work = operations(run)
        with Traffic() as traffic:
            run()
        n = max(chosen.matmul)
        a, b = (torch.randn(n, n).to(DTYPES[precision]) for _ in range(2))
        seconds = in_turns({"task": run, "matmul": functools.partial(torch.mm, a, b)}, chosen.rounds)
        rate, best = work / seconds["task"], 2 * n**3 / seconds["matmul"]
        rows.append(
            {
                "modality": name,
                "task": task,
                "precision": precision,
                "seconds": seconds["task"],
                "count": count,
                "GFLOP": work / 1e9,
                "GFLOP/s": rate / 1e9,
                "matmul GFLOP/s": best / 1e9,
                "of matmul": rate / best,
                "FLOP/byte": work / traffic.total,
            }
        )
    return rows


def copy_rate(rounds: int = 5) -> float:
    """Bytes a second that are read and written where a large tensor is copied."""
    a = torch.zeros(1 << 25)
    b = torch.empty_like(a)
    seconds = in_turns({"copy": functools.partial(b.copy_, a)}, rounds)
    return 2 * a.numel() * a.element_size() / seconds["copy"]


def main(arguments: list[str] | None = None) -> None:
    parser = options(__doc__, rounds=3)
    parser.add_argument("--modality", nargs="+", choices=RENDERED, default=list(RENDERED), help="%(choices)s [all]")
    parser.add_argument("--task", nargs="+", choices=TASKS, default=TASKS, help="%(choices)s [all]")
    parser.add_argument("--batch", type=int, help="signals in a training step [the preset's]")
    chosen = parser.parse_args(arguments)
    begin(chosen)
    rows = [row for name in chosen.modality for kind in chosen.precision for row in measure(name, kind, chosen)]
    facts = {"threads": chosen.threads, "GB/s": copy_rate() / 1e9}
    facts |= {f"matmul {k} GFLOP/s": rate / 1e9 for k, rate in matmul_rates(chosen.matmul, chosen.precision).items()}
    report("each kind of signal", rows, facts, as_json=chosen.json)


if __name__ == "__main__":
    main()
