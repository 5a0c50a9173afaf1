"""Who sets the targets besides the student itself: a moving average of it, and a diffusion model that is distilled."""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

import torch
from torch import nn

from inrkit.core.modality import Modality
from inrkit.core.objective.ode import Denoise, denoise
from inrkit.core.pipeline import Pipeline
from inrkit.core.train import PowerEMA
from inrkit.engine.config import RunConfig
from inrkit.engine.phases import Stretch, stretches
from inrkit.engine.randomness import seed_everything
from inrkit.engine.resolve import modality_of, readout_of
from inrkit.engine.rundir import read_config
from inrkit.engine.state import find_checkpoint, put_average
from inrkit.errors import UsageError


@final
class Teachers:
    """What the phases of a run need; both are part of its checkpoints.

    Args:
        config: Of the run.
        modality: With the config's options.
        phases: Of the run.
        device: Where to compute.
    """

    def __init__(self, config: RunConfig, modality: Modality, phases: Sequence[Stretch], device: torch.device) -> None:
        self.average: Pipeline | None = None
        self.diffusion: Pipeline | None = None
        if any(phase.decay(phase.start) > 0 for phase in phases):
            self.average = new_pipeline(config, modality, device).requires_grad_(False)
        for phase in phases:
            if phase.objective.distils:
                self.diffusion = self._to_distil(phase, config, modality, device)

    def __call__(self, phase: Stretch, step: int, student: Pipeline) -> Pipeline:
        """The pipeline that sets the targets of a step."""
        return student if self.average is None or phase.decay(step) == 0 else self.average

    @property
    def denoise(self) -> Denoise | None:
        """The diffusion model, as an objective asks it."""
        return None if self.diffusion is None else functools.partial(denoise, self.diffusion)

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """What a checkpoint holds, by the name of its group."""
        found = {"teacher": self.average, "diffusion": self.diffusion}
        return {name: module for name, module in found.items() if module is not None}

    @torch.no_grad()
    def begin(self, phase: Stretch, student: Pipeline, ema: PowerEMA) -> None:
        """At the first step of a phase: the average begins at the student.

        A phase that distils the one before it takes its averaged weights, and the student begins with them too.
        """
        if phase.objective.distils and _teacher_of(phase) is None:
            assert self.diffusion is not None
            ema.copy_to(student)
            self.diffusion.load_state_dict(student.state_dict())
        if self.average is not None:
            self.average.load_state_dict(student.state_dict())

    @torch.no_grad()
    def follow(self, phase: Stretch, step: int, student: Pipeline) -> None:
        """After a step: the average moves towards the student."""
        decay = phase.decay(step)
        if self.average is not None and decay > 0:
            kept = [p.detach() for p in self.average.parameters()]
            torch._foreach_lerp_(kept, [p.detach() for p in student.parameters()], 1 - decay)

    def offer_start(self, student: Pipeline) -> None:
        """A student of the same shape as a diffusion model from elsewhere begins with its weights."""
        if self.diffusion is None:
            return
        own, other = student.state_dict(), self.diffusion.state_dict()
        if {name: value.shape for name, value in own.items()} == {name: value.shape for name, value in other.items()}:
            student.load_state_dict(other)

    def _to_distil(self, phase: Stretch, config: RunConfig, modality: Modality, device: torch.device) -> Pipeline:
        path = _teacher_of(phase)
        if path is None:
            found: Pipeline = new_pipeline(config, modality, device)
        else:
            found = load_diffusion(Path(path), modality, device)
        return found.eval().requires_grad_(False)


def load_diffusion(path: Path, modality: Modality, device: torch.device) -> Pipeline:
    """The averaged weights of a run that was trained with `diffusion` on signals of the same shape."""
    checkpoint = find_checkpoint(path)
    config = read_config(path if (path / "config.toml").exists() else path.parents[1])
    if config.modality != modality.name:
        raise UsageError(
            f"teacher '{path}': expected a run of modality '{modality.name}', found '{config.modality}'; choose another"
        )
    last = stretches(config)[-1].name
    if last != "diffusion":
        raise UsageError(f"teacher '{path}': expected a run trained with 'diffusion', found '{last}'; train one first")
    theirs = modality_of(config, type(modality))
    expected, found = (tuple(kind.template(1).values.shape[1:]) for kind in (modality, theirs))
    if expected != found:
        raise UsageError(f"teacher '{path}': expected signals of shape {expected}, found {found}; train one like them")
    pipeline: Pipeline = new_pipeline(config, theirs, device)
    put_average(pipeline, checkpoint)
    return pipeline


def new_pipeline(config: RunConfig, modality: Modality, device: torch.device) -> Any:
    """An untrained pipeline; its weights depend on the config's seed alone."""
    seed_everything(config.seed, "model")
    return modality.build(readout_of(config)).to(device).train()


def _teacher_of(phase: Stretch) -> str | None:
    path: str | None = getattr(phase.objective, "teacher", None)
    return path
