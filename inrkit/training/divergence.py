"""Says early that a run diverges: its loss stays far above where it began, though every number is still finite.

A loss can be compared only within a phase and a stage of its curriculum: with the stage the task, the weighting and
the length of the gradient change. There it falls or stays where it is. Single losses have heavy tails (a weight 1/t has
no bound), so medians are compared.
"""

import statistics
from collections.abc import Mapping
from typing import Any, final

import attrs

from inrkit.config.phases import ScheduledPhase

FIRST, LAST = 20, 30
"""The median of the last steps is compared with that of the first steps of a stage."""
FAR = 10.0
"""So many times the first median is divergence; in ordinary runs it was at most 1.3 times."""


@final
@attrs.define
class LossWatch:
    """Compares losses with those that their stage began with."""

    place: tuple[int, int] = (-1, -1)
    """Phase and stage."""
    first: list[dict[str, float]] = attrs.field(factory=list)
    last: list[dict[str, float]] = attrs.field(factory=list)
    reported: bool = False
    """Whether it was said of this stage."""

    def see(self, phase: ScheduledPhase, step: int, values: Mapping[str, float]) -> str:
        """What is wrong, if the values of this step and those before it are too large; else nothing.

        Args:
            values: What `Learner.learn` returns.
        """
        if phase.objective.distils is not None:
            return ""  # a student that begins as its teacher has hardly a loss: it can only grow
        place = (phase.number, phase.objective.stage(phase.progress(step)))
        if place != self.place:
            self.place, self.first, self.last, self.reported = place, [], [], False
        if len(self.first) < FIRST:
            self.first.append(dict(values))
            return ""
        self.last = [*self.last[1 - LAST :], dict(values)]
        if len(self.last) < LAST or self._growth("loss") <= FAR:
            return ""
        self.reported = True
        name = max((name for name in values if name.startswith("loss/")), key=self._growth, default="loss")
        return (
            f"the loss diverges: in the last {LAST} steps '{name}' was {_median(self.last, name):.3g}, "
            f"{self._growth(name):.1f} times as large as at the beginning of this stage of training, with a gradient "
            f"norm of {_median(self.last, 'norm'):.3g} (at first {_median(self.first, 'norm'):.3g})"
        )

    def _growth(self, name: str) -> float:
        return _median(self.last, name) / max(_median(self.first, name), 1e-12)

    def state(self) -> dict[str, Any]:
        """For the checkpoint."""
        return attrs.asdict(self)

    def load(self, state: Mapping[str, Any]) -> None:
        """What a checkpoint holds."""
        self.place, self.reported = tuple(state["place"]), bool(state["reported"])
        self.first, self.last = list(state["first"]), list(state["last"])


def _median(lines: list[dict[str, float]], name: str) -> float:
    return statistics.median(line[name] for line in lines)
