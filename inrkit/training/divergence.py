"""Says early that a run diverges: its loss, or its gradient, stays far above where it began, though all is finite.

A loss can be compared only within a phase and a stage of its curriculum: with the stage the task, the weighting and
the length of the gradient change. There it falls or stays where it is. Single losses have heavy tails (a weight 1/t has
no bound), so medians are compared. The norm of the gradient grows with a curriculum in good runs too, so that it is
compared within the whole phase, and far more of it is divergence: a network that answers the same for every signal has
small losses, whose un-squared distance points anywhere.
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
STEEP = 1000.0
"""So many times the gradient's norm at the beginning of a phase, too; in ordinary runs it was at most 83 times."""

ALIKE, EARLY = 0.1, 200
"""Less of the variance of signals, after so many steps, and next to nothing is encoded."""


@final
@attrs.define
class LossWatch:
    """Compares losses with those that their stage began with, and gradients with those of their phase."""

    place: tuple[int, int] = (-1, -1)
    """Phase and stage."""
    first: list[dict[str, float]] = attrs.field(factory=list)
    last: list[dict[str, float]] = attrs.field(factory=list)
    begin: list[dict[str, float]] = attrs.field(factory=list)
    """Of the phase."""
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
            self.begin = self.begin if place[0] == self.place[0] else []
            self.place, self.first, self.last, self.reported = place, [], [], False
        if len(self.begin) < FIRST:
            self.begin.append({name: values[name] for name in ("loss", "norm")})
        if len(self.first) < FIRST:
            self.first.append(dict(values))
            return ""
        self.last = [*self.last[1 - LAST :], dict(values)]
        if len(self.last) < LAST:
            return ""
        diverges, norm, before = self._growth("loss") > FAR, _median(self.last, "norm"), _median(self.begin, "norm")
        steep = norm > STEEP * before * max(1.0, self._growth("loss", self.begin)) and before > 0
        if not (diverges or steep):
            return ""
        self.reported = True
        if not diverges:
            return (
                f"the gradient diverges, though the loss does not: in the last {LAST} steps its norm was {norm:.3g}, "
                f"at the beginning of this phase {before:.3g}; so it is where a network answers nearly the same for "
                "every signal"
            )
        name = max((name for name in values if name.startswith("loss/")), key=self._growth, default="loss")
        return (
            f"the loss diverges: in the last {LAST} steps '{name}' was {_median(self.last, name):.3g}, "
            f"{self._growth(name):.1f} times as large as at the beginning of this stage of training, with a gradient "
            f"norm of {norm:.3g} (at first {_median(self.first, 'norm'):.3g})"
        )

    def _growth(self, name: str, since: list[dict[str, float]] | None = None) -> float:
        """How many times as large it is as at the beginning of the stage, or since these steps."""
        return _median(self.last, name) / max(_median(since or self.first, name), 1e-12)

    def state(self) -> dict[str, Any]:
        """For the checkpoint."""
        return attrs.asdict(self)

    def load(self, state: Mapping[str, Any]) -> None:
        """What a checkpoint holds."""
        self.place, self.reported = tuple(state["place"]), bool(state["reported"])
        self.first, self.last, self.begin = list(state["first"]), list(state["last"]), list(state["begin"])


def alike(ratio: float, phase: ScheduledPhase, step: int) -> str:
    """What to say, if anything, where encodings of different signals have so little of the variance that these have."""
    if ratio >= ALIKE or step < EARLY:
        return ""
    return (
        f"encodings of held-out signals are nearly the same, with {ratio:.1%} of the variance of the signals: almost "
        f"nothing is encoded; if it stays so, try a lower 'lr' (now {phase.lr:g}), smaller patches, or more steps of "
        "reconstruction at first ('warmup_share', or a phase of it)"
    )


def _median(lines: list[dict[str, float]], name: str) -> float:
    return statistics.median(line[name] for line in lines)
