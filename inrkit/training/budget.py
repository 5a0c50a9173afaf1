"""A budget of time: how many steps a run can take in so many minutes, by a few measured ones."""

import time
from pathlib import Path

import torch

from inrkit.config.resolve import Resolved
from inrkit.errors import UsageError
from inrkit.machine.precision import choose_precision
from inrkit.machine.processes import Ranks
from inrkit.machine.randomness import preserve_random_state
from inrkit.storage.checkpoint import list_checkpoints
from inrkit.storage.rundir import read_config
from inrkit.training.learner import Learner
from inrkit.training.order import Order

_LEAST = 10
_RESERVE = 0.15
"""Share of the time that is left for starting, samples, held-out figures and the report."""
_MEASURED = 3


def within(minutes: float, resolved: Resolved, run: Path, ranks: Ranks, device: torch.device) -> Resolved:
    """The same with as many steps as fit; a run that has begun keeps those that it began with."""
    if minutes <= 0:
        raise UsageError(f"'minutes' must be > 0 (got {minutes:g})")
    if list_checkpoints(run / "checkpoints"):
        return resolved.evolve(steps=read_config(run).steps)
    began = time.perf_counter()
    ours = seconds_of_a_step(resolved, ranks, device)
    seconds = ranks.broadcast(lambda: ours)
    left = minutes * 60 * (1 - _RESERVE) - (time.perf_counter() - began)
    steps = max(0, int(left / seconds))
    if steps < _LEAST:
        least = (_LEAST * seconds + time.perf_counter() - began) / 60 / (1 - _RESERVE)
        raise UsageError(
            f"'minutes' = {minutes:g} leaves time for {steps} steps of {seconds:.2g} s, and a run has at least "
            f"{_LEAST}; give at least {least:.1f} minutes, or train a smaller model"
        )
    return resolved.evolve(steps=steps)


def seconds_of_a_step(resolved: Resolved, ranks: Ranks, device: torch.device) -> float:
    """The mean over a run: the fastest of a few steps late in each phase, when its teacher is asked about most rows."""
    source = resolved.source("train")
    order = Order(len(source), resolved.config.batch_size, resolved.config.seed)
    with preserve_random_state(device):
        learner = Learner(resolved, ranks, device, choose_precision(resolved.config.precision, device))
        total = 0.0
        for phase in learner.phases:
            learner.step = first = phase.start + 3 * (phase.stop - phase.start) // 4
            now, spent = learner.enter_phase(), list[float]()
            for step in range(first, first + _MEASURED):
                learner.step, start = first, time.perf_counter()
                learner.learn(now, (source.read(order.numbers(step, *part)) for part in learner.rows), stop=False)
                if device.type != "cpu":
                    torch.accelerator.synchronize()
                spent.append(time.perf_counter() - start)
            total += min(spent) * (phase.stop - phase.start)
        learner.release()
    return total / resolved.config.steps
