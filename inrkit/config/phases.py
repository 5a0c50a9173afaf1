"""A run is a list of phases, one objective after the other."""

import itertools
from collections.abc import Sequence
from typing import final

import attrs

from inrkit.config.run import Phase, RunConfig
from inrkit.config.toml import structure
from inrkit.core.objective.base import Objective
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
    teacher_ema: float = 0.0
    """The run's decay of the teacher, which goes before the objective's own; 0 for none."""

    def progress(self, step: int) -> float:
        """From 0 towards 1 through this phase."""
        return (step - self.start) / (self.stop - self.start)

    def decay(self, step: int) -> float:
        """How much of the teacher's weights is kept in a step; 0: they are the student's own."""
        return self.teacher_ema or self.objective.teacher_decay(self.progress(step))

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
            objective = structure(load_plugins().objective(phase.objective), phase.options, origin="objective_options")
            name, number = phase.objective, len(result)
            result.append(ScheduledPhase(number, name, objective, phase.trains, start, stop, config.teacher_ema))
        start = max(start, stop)
    return result


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
    return [Phase("reconstruction", config.warmup_share, trains, options), main]
