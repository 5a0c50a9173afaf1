"""A budget of time: how many steps a run can take in so many minutes, by a few measured ones."""

import time
import timeit
from collections.abc import Callable
from pathlib import Path

import torch

from inrkit.config.resolve import Resolved
from inrkit.errors import UsageError
from inrkit.machine.precision import choose_precision
from inrkit.machine.processes import Ranks
from inrkit.machine.speed import synchronize
from inrkit.storage.checkpoint import list_checkpoints
from inrkit.storage.rundir import read_config
from inrkit.training.trial import cost_of_training

_LEAST = 10
_SAMPLES, _ENDS, _MOST = 0.05, 0.1, 10.0
"""Shares of the time that are left for samples and held-out figures, and for starting and the report: those take at
most so many seconds."""
_MEASURED = 3


def within(minutes: float, resolved: Resolved, run: Path, ranks: Ranks, device: torch.device) -> Resolved:
    """The same with as many steps as fit; a run that has begun keeps those that it began with."""
    if minutes <= 0:
        raise UsageError(f"'minutes' must be > 0 (got {minutes:g})")
    if list_checkpoints(run / "checkpoints"):
        return resolved.evolve(steps=read_config(run).steps)
    began = time.perf_counter()
    seconds = seconds_of_a_step(resolved, ranks, device)
    # Every process has measured, and the first one's figures are everybody's.
    seconds, spent = ranks.broadcast(lambda: (seconds, time.perf_counter() - began))
    return resolved.evolve(steps=steps_within(minutes, seconds, spent))


def steps_within(minutes: float, seconds: float, spent: float = 0) -> int:
    """How many steps of so many seconds fit, after those that are ``spent`` already."""
    whole = 60 * minutes
    steps = max(0, int((whole * (1 - _SAMPLES) - min(whole * _ENDS, _MOST) - spent) / seconds))
    if steps < _LEAST:
        least = (_LEAST * seconds + spent) / 60 / (1 - _SAMPLES - _ENDS)
        raise UsageError(
            f"'minutes' = {minutes:g} leaves time for {steps} steps of {seconds:.2g} s, and a run has at least "
            f"{_LEAST}; give at least {least:.1f} minutes, or train a smaller model"
        )
    return steps


def seconds_of_a_step(resolved: Resolved, ranks: Ranks, device: torch.device) -> float:
    """The mean over a run: the fastest of a few steps late in each phase, when its teacher is asked about most rows."""

    def fastest(step: Callable[[], object]) -> float:
        def whole() -> None:
            step()
            synchronize(device)

        return min(timeit.repeat(whole, number=1, repeat=_MEASURED))

    precision = choose_precision(resolved.config.precision, device)
    return cost_of_training(resolved, ranks, device, precision, 0.75, fastest) / resolved.config.steps
