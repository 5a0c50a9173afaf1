"""Steps that are taken for the sake of what they cost, by a learner that is thrown away."""

import functools
import itertools
from collections.abc import Callable, Iterator

import torch

from inrkit.config.resolve import Resolved
from inrkit.machine.processes import Ranks
from inrkit.machine.randomness import preserve_random_state
from inrkit.training.learner import Learner
from inrkit.training.order import Order


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
        cost: Of a step, which it calls as often as it likes: the step stays the same, the signals are always new.
    """
    source = resolved.source("train")
    order = Order(len(source), resolved.config.batch_size, resolved.config.seed)
    with preserve_random_state(device):
        learner = Learner(resolved, ranks, device, precision)

        def take(step: int, numbers: Iterator[int]) -> None:
            learner.step, number = step, next(numbers)
            signals = (source.read(order.numbers(number, *part)) for part in learner.rows)
            learner.learn(learner.enter_phase(), signals, stop=False)

        total = 0.0
        for phase in learner.phases:
            steps = phase.stop - phase.start
            first = phase.start + int(share * steps)
            total += cost(functools.partial(take, first, itertools.count(first))) * steps
        learner.release()
    return total
