"""Who sets the targets besides the student itself: a moving average of it, and a diffusion model that is distilled."""

from collections.abc import Mapping
from pathlib import Path
from typing import final

import torch
from torch import nn

from inrkit.config.phases import ScheduledPhase
from inrkit.config.resolve import Resolved
from inrkit.config.run import RunConfig
from inrkit.core.modality import Modality
from inrkit.core.objective.base import Distilled
from inrkit.core.objective.continuous import Diffusion
from inrkit.core.pipeline import Pipeline
from inrkit.core.shard import part_of
from inrkit.core.train import Average
from inrkit.errors import UsageError
from inrkit.inference.labels import classes_of
from inrkit.machine.randomness import seed_everything
from inrkit.machine.sharding import shard
from inrkit.storage.rundir import read_config
from inrkit.storage.weights import find_checkpoint, put_average
from inrkit.training.blocks import prepare_blocks


@final
class Teachers:
    """What the phases of a run need; both are part of its checkpoints."""

    def __init__(self, resolved: Resolved, device: torch.device, *, sharded: bool = False) -> None:
        self.average: Pipeline | None = None
        self.diffusion: Pipeline | None = None
        self._starts_by_chance = resolved.config.init is None
        place = torch.device("cpu") if sharded else device
        if any(phase.decay(phase.start) > 0 for phase in resolved.phases):
            self.average = new_pipeline(resolved, place).requires_grad_(False)
        for phase in resolved.phases:
            if phase.objective.distils is not None:
                self.diffusion = _to_distil(phase.objective.distils, resolved, place)
        for pipeline in self.modules.values() if sharded else ():
            shard_pipeline(pipeline, device)

    def __call__(self, phase: ScheduledPhase, step: int, student: Pipeline) -> Pipeline:
        """The pipeline that sets the targets of a step."""
        return student if self.average is None or phase.decay(step) == 0 else self.average

    @property
    def modules(self) -> Mapping[str, Pipeline]:
        """What a checkpoint holds, by the name of its group."""
        found = (("teacher", self.average), ("diffusion", self.diffusion))
        return {name: module for name, module in found if module is not None}

    @torch.no_grad()
    def begin(self, phase: ScheduledPhase, student: Pipeline, ema: Average) -> None:
        """At the first step of a phase: the average begins at the student.

        Distilling the phase before it begins at its averaged weights; distilling a run begins at those of the run, if
        they fit and nothing was learned before.
        """
        if self.diffusion is not None and phase.objective.distils is not None:
            if phase.objective.distils.run is None:
                ema.copy_to(student)
                _copy(student, self.diffusion)
            elif phase.start == 0 and self._starts_by_chance and _alike(student, self.diffusion):
                _copy(self.diffusion, student)
        if self.average is not None:
            _copy(student, self.average)

    @torch.no_grad()
    def follow(self, phase: ScheduledPhase, step: int, student: Pipeline) -> None:
        """After a step: the average moves towards the student."""
        decay = phase.decay(step)
        if self.average is not None and decay > 0:
            kept, new = ([part_of(p.detach()) for p in of.parameters()] for of in (self.average, student))
            torch._foreach_lerp_(kept, new, 1 - decay)


def _to_distil(distilled: Distilled, resolved: Resolved, device: torch.device) -> Pipeline:
    """The diffusion model of a run; or one that the phase before is going to train."""
    if distilled.run is None:
        name, config, pipeline = "this run", resolved.config, new_pipeline(resolved, device)
    else:
        name = f"teacher '{distilled.run}'"
        config, pipeline = _load(Path(distilled.run), resolved.modality, device)
    if distilled.guidance != 1 and config.label_dropout == 0:
        raise UsageError(
            f"{name}: 'guidance' (classifier-free) needs a diffusion model that was trained with label dropout, "
            "found 'label_dropout' = 0; train one with .1, say"
        )
    return pipeline.eval().requires_grad_(False)


def _load(path: Path, modality: Modality, device: torch.device) -> tuple[RunConfig, Pipeline]:
    """The averaged weights of a run that was trained with `diffusion` on signals of the same shape and classes."""
    checkpoint = find_checkpoint(path)
    config = read_config(path if (path / "config.toml").exists() else path.parents[1])
    _check(path, "a run of modality", modality.name, config.modality)
    theirs = Resolved.of(config, type(modality))
    _check(path, "a run trained with", Diffusion.name, theirs.phases[-1].name)
    ours, found = (tuple(kind.template(1).values.shape[1:]) for kind in (modality, theirs.modality))
    _check(path, "signals of shape", ours, found)
    _check(path, "a run whose number of classes is", classes_of(modality), classes_of(theirs.modality))
    pipeline = new_pipeline(theirs, device)
    put_average(pipeline, checkpoint)
    return config, pipeline


def _check(path: Path, what: str, expected: object, found: object) -> None:
    if expected != found:
        raise UsageError(f"teacher '{path}': expected {what} {expected!r}, found {found!r}; train or name another")


def _alike(student: nn.Module, diffusion: nn.Module) -> bool:
    """Whether a diffusion model fits a student, which may also have learned to be told a guidance scale."""
    ours, theirs = ({name: value.shape for name, value in of.state_dict().items()} for of in (student, diffusion))
    return {name: shape for name, shape in ours.items() if name in theirs or ".guidance." not in name} == theirs


def _copy(source: nn.Module, target: nn.Module) -> None:
    """All weights, of which both have the same rows."""
    own = target.state_dict()
    for name, value in source.state_dict().items():
        part_of(own[name]).copy_(part_of(value))


def shard_pipeline(pipeline: Pipeline, device: torch.device) -> None:
    """Divides the denoiser over the processes; a function has few weights and is called at will."""
    shard(pipeline.denoiser, device)
    pipeline.to(device)


def new_pipeline(resolved: Resolved, device: torch.device) -> Pipeline:
    """An untrained pipeline; its weights depend on the config's seed alone."""
    seed_everything(resolved.config.seed, "model")
    pipeline = resolved.build().to(device).train()
    prepare_blocks(pipeline, compiled=resolved.config.compile, recomputed=resolved.config.recompute)
    return pipeline
