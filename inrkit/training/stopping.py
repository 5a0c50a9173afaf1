"""Stops a run whose samples become worse instead of better, and goes back to the best checkpoint.

Consistency training can diverge when its curriculum brings t and r close together: the loss still falls while samples
fall apart. So the samples themselves are watched: the Fréchet distance of `QuickFrechet`, of two steps.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import attrs

from inrkit.evaluation.quick import QuickFrechet
from inrkit.inference.model import Model
from inrkit.storage import atomic, fileerror
from inrkit.storage.checkpoint import remove_newer
from inrkit.storage.rundir import STOPPED

COUNT = 256
"""Signals in each of the sets that are compared."""
MARGIN = 1.1
"""What is not worse than this many times the best is a matter of chance."""
FAR = 2.0
"""What is worse than this many times the best is lost, whether or not it was still worse before."""


@final
@attrs.define
class EarlyStopping:
    """Worse is: more than the evaluation before, and more than the best of the phase by a tenth; or more than twice the
    best; or not finite.

    A network that has just begun to learn often becomes worse before it becomes better: until an evaluation has been
    better than one before it, none is worse.

    Args:
        patience: How many evaluations in a row have to be worse; 0 watches nothing.
        trained: Whether the network comes from another run, and need not prove that it learns.
        best_step: Of the best evaluation of the phase so far.
    """

    patience: int
    trained: bool = False
    improved: bool = False
    phase: int = -1
    best: float = math.inf
    best_step: int | None = None
    last: float = math.inf
    worse: int = 0
    _quick: QuickFrechet | None = attrs.field(default=None, init=False)

    def measure(self, model: Model) -> float:
        """How far the model's samples are from training signals; of two steps, or along a diffusion model's path.

        Never by way of a level that was searched: a run must not depend on when it was evaluated.
        """
        if self._quick is None:
            self._quick = QuickFrechet(model, COUNT)
        return self._quick.distance(model, model.sampler.times(2 if model.sampler.few_steps else None))

    def see(self, step: int, phase: int, value: float, *, counts: bool = True) -> bool:
        """Takes note of an evaluation, and says whether it is the best of its phase.

        Args:
            counts: Whether it may be worse: before the task has become harder, nothing diverges.
        """
        if phase != self.phase:
            self.phase, self.best, self.best_step, self.last, self.worse = phase, math.inf, None, math.inf, 0
            self.improved = self.trained
        elif value < self.last < math.inf:
            self.improved = True
        rises = value > self.last and value > MARGIN * self.best
        is_worse = rises or value > FAR * self.best or not math.isfinite(value)
        self.worse = self.worse + 1 if is_worse and counts and self.improved else 0
        self.last = value
        if value >= self.best:
            return False
        self.best, self.best_step = value, step
        return True

    @property
    def stop(self) -> bool:
        """Whether enough evaluations in a row were worse, and there is something to go back to."""
        return 0 < self.patience <= self.worse and self.best_step is not None

    def state(self) -> dict[str, Any]:
        """For the checkpoint."""
        return {name: getattr(self, name) for name in ("phase", "improved", "best", "best_step", "last", "worse")}

    def load(self, state: Mapping[str, Any]) -> None:
        """What a checkpoint holds; nothing of a run that was not watched."""
        for name, value in state.items():
            setattr(self, name, value)


def stop_early(run: Path, step: int, early: EarlyStopping) -> None:
    """Notes why the run ended, and removes the checkpoints after the best one."""
    note = {"step": step, "best_step": early.best_step, "best": early.best, "last": early.last}
    text = json.dumps({name: value if math.isfinite(value or 0) else None for name, value in note.items()}, indent=2)
    atomic.write_text(run / STOPPED, text + "\n")
    finish(run)


def finish(run: Path, *, watched: bool = True) -> bool:
    """Whether the run was stopped early; what its end left undone is done. One that is watched no more goes on."""
    note = run / STOPPED
    if watched and note.is_file():
        data = note.read_bytes()
        try:
            step = int(json.loads(data)["best_step"])
        except (ValueError, KeyError, TypeError):
            atomic.set_aside(note, data, "it is damaged; the run goes on as if it had not been stopped")
        else:
            remove_newer(run / "checkpoints", step)
            return True
    with fileerror.disk_errors(run):
        note.unlink(missing_ok=True)
    return False
