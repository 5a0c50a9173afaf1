"""Several processes of one machine against one: speed, and the memory of each, with all weights or a share of them.

    python benchmarks/processes.py [--processes 2 4] [--width 128] [--depth 3] [--batch 64] [--threads 1] [--json]

Each row is a group of processes that take training steps of the image model at the same global batch, halfway through
its curriculum: "whole" have all weights (DDP), "shared" a share of them (`shard = true`, FSDP2). "x one" is how many
times as fast as one process with ``threads`` threads they are, and "x CPU" how many times less the busiest of them
computes, which is what they gain where every process has a core of its own and need not wait. "held MB" are the bytes
of weights, gradients, averages and optimizer state of the process that has most of them; "peak MB" its memory at most
beyond what importing took, with activations, the weights of the block at work, and the whole model, which each process
has once at the beginning. "norm" is that of the last gradient, equal in all rows up to the order of sums.
"""

import argparse
import itertools
import multiprocessing
import os
import statistics
import time
from typing import Any

import torch
from measure import free_port, matmul_rate, options, report
from model import configured

import inrkit
from inrkit.core.shard import part_of
from inrkit.machine.memory import forget_peak, peak_memory
from inrkit.machine.processes import joined
from inrkit.training.learner import Learner

CPU = torch.device("cpu")


def held(learner: Learner, gradients: int) -> int:
    """Bytes of what grows with the weights."""
    states = [value for part in learner.optimizer.parts for state in part.state.values() for value in state.values()]
    kept = [*learner.pipeline.parameters(), *learner.ema.tensors.values(), *states]
    return sum(part_of(tensor.detach()).nbytes for tensor in kept) + gradients


def work(environment: dict[str, str], resolved: inrkit.Resolved, threads: int, rounds: int, results: Any) -> None:
    """One process: a step to begin with, then those that are timed."""
    os.environ.update(environment)
    torch.set_num_threads(threads)
    forget_peak(CPU)
    before = peak_memory(CPU) or 0
    with joined("cpu") as ranks:
        learner = Learner(resolved, ranks, CPU, "fp32")
        learner.step = (learner.phases[-1].start + learner.phases[-1].stop) // 2
        signals = resolved.source("train").read(range(*next(iter(learner.rows))))
        at, norms, seconds, busy = learner.step, list[float](), list[float](), list[float]()
        for _ in range(rounds + 1):
            ranks.barrier()
            begin, began = time.perf_counter(), time.process_time()
            values, _ = learner.learn(learner.enter_phase(), itertools.repeat(signals), stop=False)
            seconds.append(time.perf_counter() - begin)
            busy.append(time.process_time() - began)
            assert values is not None, "the loss is not finite"
            norms.append(values["norm"])
            learner.step = at
        gradients = sum(part_of(p.detach()).nbytes for p in learner.pipeline.parameters())
        most = (peak_memory(CPU) or 0) - before
        times = (statistics.median(seconds[1:]), statistics.median(busy[1:]))
        results.put((*times, held(learner, gradients), most, norms[-1]))
        learner.release()


def group(resolved: inrkit.Resolved, processes: int, threads: int, rounds: int) -> dict[str, Any]:
    """The row of so many processes."""
    context, port = multiprocessing.get_context("fork"), str(free_port())
    results = context.SimpleQueue()
    world = {"WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    children = [
        context.Process(
            target=work,
            args=({**world, "RANK": str(rank), "LOCAL_RANK": str(rank)}, resolved, threads, rounds, results),
        )
        for rank in range(processes)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join()
        assert child.exitcode == 0, f"a process ended with exit code {child.exitcode}"
    seconds, busy, kept, most, norms = zip(*(results.get() for _ in children), strict=True)
    return {
        "processes": processes,
        "threads": threads,
        "weights": "shared" if resolved.config.shard else "whole",
        "ms/step": 1e3 * max(seconds),
        "CPU ms": 1e3 * max(busy),
        "held MB": max(kept) / 1e6,
        "peak MB": max(most) / 1e6,
        "norm": f"{norms[0]:.5g}",
    }


def main(arguments: list[str] | None = None) -> None:
    parser = options(__doc__, rounds=5)
    parser.add_argument("--processes", type=int, nargs="+", default=[2, 4], help="in all [%(default)s]")
    parser.add_argument("--width", type=int, default=128, help="of the network [%(default)s]")
    parser.add_argument("--depth", type=int, default=3, help="encoder blocks [%(default)s]")
    parser.add_argument("--batch", type=int, default=64, help="of all processes [%(default)s]")
    parser.add_argument("--optimizer", default="muon", help="muon, adamw or radam [%(default)s]")
    parser.add_argument("--only", choices=["whole", "shared"], help="leave the others out")
    parser.set_defaults(threads=1)
    chosen: argparse.Namespace = parser.parse_args(arguments)
    torch.set_num_threads(1)  # threads of a parent are lost in its children
    rate = matmul_rate(torch.float32, chosen.matmul)
    keys = {"batch_size": chosen.batch, "optimizer": chosen.optimizer, "options": {"depth": chosen.depth}}
    resolved = configured(chosen.width, precision="fp32", **keys)
    rows = [group(resolved, 1, threads, chosen.rounds) for threads in (chosen.threads, 2 * chosen.threads)]
    for processes, shared in itertools.product(chosen.processes, (False, True)):
        if chosen.only is None or (chosen.only == "shared") is shared:
            rows.append(group(resolved.evolve(shard=shared), processes, chosen.threads, chosen.rounds))
    gains = {"x one": "ms/step", "x CPU": "CPU ms"}
    rows = [{**row, **{name: rows[0][of] / row[of] for name, of in gains.items()}} for row in rows]
    weights = sum(p.numel() for p in resolved.build().parameters())
    facts = {"batch": chosen.batch, "parameters": weights, "fp32 GFLOP/s of a thread": rate / 1e9}
    report("Processes", rows, facts, as_json=chosen.json)


if __name__ == "__main__":
    main()
