"""A run is a list of phases, one objective after the other."""

from collections.abc import Sequence
from typing import final

import attrs

from inrkit.core.objective import Objective
from inrkit.core.pipeline import Pipeline
from inrkit.engine.config import Phase, RunConfig
from inrkit.engine.resolve import objective_class
from inrkit.io.config import structure


@final
@attrs.frozen
class Stretch:
    """A phase with its steps: from ``start`` to before ``stop``."""

    number: int
    name: str
    objective: Objective
    trains: str
    start: int
    stop: int

    def progress(self, step: int) -> float:
        """From 0 towards 1 through this phase."""
        return (step - self.start) / (self.stop - self.start)

    def freeze(self, pipeline: Pipeline) -> None:
        """Lets only the weights learn that this phase trains."""
        for part in ("denoiser", "function"):
            module = getattr(pipeline, part)
            for parameter in module.parameters():
                parameter.requires_grad_(self.trains in ("all", part))
                parameter.grad = None


def stretches(config: RunConfig) -> list[Stretch]:
    """The phases of a run with their steps; those too short for a single step are left out."""
    result: list[Stretch] = []
    share, start = 0.0, 0
    phases = list(config.phases) or _derived(config)
    for i, phase in enumerate(phases):
        share += phase.share
        stop = config.steps if i == len(phases) - 1 else round(config.steps * share)
        if stop > start:
            objective = structure(objective_class(phase.objective), phase.options, origin="objective_options")
            result.append(Stretch(len(result), phase.objective, objective, phase.trains, start, stop))
        start = max(start, stop)
    return result


def at(phases: Sequence[Stretch], step: int) -> Stretch:
    """The phase of a step."""
    return next(phase for phase in phases if phase.start <= step < phase.stop)


def _derived(config: RunConfig) -> list[Phase]:
    """INRCT begins with reconstruction alone (its "efficient training scheduler"); the others are one phase."""
    main = Phase(config.objective, 1 - config.warmup_share, options=config.objective_options)
    if config.objective != "inrct" or config.warmup_share == 0:
        return [attrs.evolve(main, share=1.0)]
    options = {"distance": config.objective_options["distance"]} if "distance" in config.objective_options else {}
    return [Phase("reconstruction", config.warmup_share, options=options), main]
