"""Steps that are taken for the sake of what they cost, by a learner that is thrown away."""

import itertools
from collections.abc import Callable
from typing import final

import torch

from inrkit.config.phases import ScheduledPhase
from inrkit.config.resolve import Resolved
from inrkit.machine.processes import Ranks
from inrkit.machine.randomness import preserve_random_state
from inrkit.training.learner import Learner
from inrkit.training.order import Order


@final
class Trial:
    """A learner and its signals; whoever makes one preserves the random states."""

    def __init__(self, resolved: Resolved, ranks: Ranks, device: torch.device, precision: str) -> None:
        self.learner = Learner(resolved, ranks, device, precision)
        self._source = resolved.source("train")
        self._order = Order(len(self._source), resolved.config.batch_size, resolved.config.seed, resolved.seen)

    def step(self, phase: ScheduledPhase, share: float) -> Callable[[], None]:
        """Takes the step at this share of a phase: the same as often as it is called, on signals that are new."""
        learner, first = self.learner, phase.start + int(share * (phase.stop - phase.start))
        numbers = itertools.count(first)
        learner.step = first
        learner.enter_phase()

        def take() -> None:
            learner.step, number = first, next(numbers)
            signals = (self._source.read(self._order.numbers(number, *part)) for part in learner.rows)
            learner.learn(learner.enter_phase(), signals, stop=False)

        return take


def cost_of_training(
    resolved: Resolved,
    ranks: Ranks,
    device: torch.device,
    precision: str,
    share: float,
    cost: Callable[[Callable[[], object]], float],
) -> float:
    """The cost of a whole run, from a step at this ``share`` of each phase; no random state is touched.

    Args:
        cost: Of a step, which it calls as often as it likes.
    """
    with preserve_random_state(device):
        trial = Trial(resolved, ranks, device, precision)
        phases = trial.learner.phases
        total = sum(cost(trial.step(phase, share)) * (phase.stop - phase.start) for phase in phases)
        trial.learner.release()
    return total
