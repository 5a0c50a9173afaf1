"""A run is a list of phases, one objective after the other."""

import itertools
from collections.abc import Sequence
from typing import final

import attrs

from inrkit.config.run import Optimizer, Phase, RunConfig
from inrkit.config.toml import structure
from inrkit.core.objective.base import Objective
from inrkit.core.objective.discrete import Ct
from inrkit.core.pipeline import Pipeline
from inrkit.errors import UsageError
from inrkit.plugins import load_plugins


@final
@attrs.frozen
class ScheduledPhase:
    """A phase with its steps: from ``start`` to before ``stop``."""

    number: int
    name: str
    objective: Objective
    trains: str
    start: int
    stop: int
    optimizer: Optimizer
    lr: float
    """The peak of the learning rate."""
    batch_size: int
    ema: bool = True
    """Whether the weights are averaged."""
    teacher_ema: float | None = None
    """The decay of the teacher's moving average, 0 for no average, None for the objective's own."""
    rises: bool = False
    """Whether that decay rises from there towards 1."""

    def progress(self, step: int) -> float:
        """From 0 towards 1 through this phase."""
        return (step - self.start) / (self.stop - self.start)

    def decay(self, step: int) -> float:
        """How much of the teacher's weights is kept in a step; 0: they are the student's own."""
        if self.teacher_ema is None:
            return self.objective.teacher_decay(self.progress(step))
        return Ct(mu0=self.teacher_ema).teacher_decay(self.progress(step)) if self.rises else self.teacher_ema

    def is_hard(self, step: int) -> bool:
        """Whether the curriculum has left its first stage; always, for an objective without one."""
        first, last = self.objective.stage(0.0), self.objective.stage(1.0)
        return first == last or self.objective.stage(self.progress(step)) > first

    def freeze(self, pipeline: Pipeline) -> None:
        """Lets only the weights learn that this phase trains."""
        pipeline.denoiser.requires_grad_(self.trains != "function")
        pipeline.function.requires_grad_(self.trains != "denoiser")
        pipeline.denoiser.skips_encoder = self.trains == "decoder"
        if self.trains == "decoder":
            encoder = pipeline.denoiser.encoder_parts()
            if not encoder:
                raise UsageError(
                    f"phase '{self.name}' trains a decoder alone, and `{type(pipeline.denoiser).__name__}` has no "
                    "encoder to skip; set warmup_share to 0"
                )
            for module in encoder:
                module.requires_grad_(False)
        for parameter in pipeline.parameters():
            parameter.grad = None


def schedule_phases(config: RunConfig) -> list[ScheduledPhase]:
    """The phases of a run with their steps; those too short for a single step are left out."""
    result: list[ScheduledPhase] = []
    phases, start = list(config.phases) or _derived(config), 0
    stops = [round(config.steps * share) for share in itertools.accumulate(phase.share for phase in phases)]
    for phase, stop in zip(phases, [*stops[:-1], config.steps], strict=True):
        if stop > start:
            objective = structure(load_plugins().objective(phase.objective), phase.options, table="objective_options")
            result.append(
                ScheduledPhase(
                    number=len(result),
                    name=phase.objective,
                    objective=objective,
                    trains=phase.trains,
                    start=start,
                    stop=stop,
                    optimizer=phase.optimizer or config.optimizer,
                    lr=phase.lr or config.lr,
                    batch_size=phase.batch_size or config.batch_size,
                    ema=phase.ema,
                    teacher_ema=(config.teacher_ema or None) if phase.teacher_ema is None else phase.teacher_ema,
                    rises=config.teacher_schedule == "rising",
                )
            )
        start = max(start, stop)
    return result


def signals_seen(phases: Sequence[ScheduledPhase], step: int) -> int:
    """How many signals all steps before this one learn from; after the last phase, it goes on."""
    return sum(
        ((step if phase is phases[-1] else min(step, phase.stop)) - phase.start) * phase.batch_size
        for phase in phases
        if phase.start < step
    )


def at(phases: Sequence[ScheduledPhase], step: int) -> ScheduledPhase:
    """The phase of a step."""
    return next(phase for phase in phases if phase.start <= step < phase.stop)


def _derived(config: RunConfig) -> list[Phase]:
    """INRCT and CM-Func begin with reconstruction alone (INRCT's "efficient training scheduler").

    A decoder does not learn alone where weights from elsewhere have an encoder that it would have to skip.
    """
    main = Phase(config.objective, 1 - config.warmup_share, options=config.objective_options)
    trains = load_plugins().objective(config.objective).begins_with
    if trains is None or config.warmup_share == 0 or (trains == "decoder" and config.init is not None):
        return [attrs.evolve(main, share=1.0)]
    options = {key: value for key, value in config.objective_options.items() if key in ("distance", "c")}
    return [Phase("reconstruction", config.warmup_share, trains, options=options), main]
