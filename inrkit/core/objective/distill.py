"""Consistency distillation: the target lies on the trajectory of a diffusion model that was trained before."""

from typing import Literal, final

import attrs
from torch import Tensor

from inrkit.core.draws import Draws
from inrkit.core.guide import Estimate, Guided
from inrkit.core.karras import uniform_pairs
from inrkit.core.objective.base import Distilled
from inrkit.core.objective.discrete import OnGrid
from inrkit.core.objective.pair import Move
from inrkit.core.ode import SOLVERS
from inrkit.core.option import AT_LEAST_0, AT_LEAST_1, AT_LEAST_2, BELOW_1, option
from inrkit.errors import UsageError


@final
@attrs.frozen
class Cd(OnGrid):
    """Consistency distillation (arXiv:2303.01469): f at a level is f where the diffusion model's ODE leads from it.

    ``teacher`` is a run that was trained with `diffusion`; without one, a phase before this has to be `diffusion`, and
    its averaged weights are distilled. ``guidance`` w > 1 follows the augmented ODE of D(x) + w (D(x, label) - D(x)),
    so that what it gives is guided in a single step; with ``guidance_range`` w is drawn for each signal and told to the
    student, so that it is chosen when sampling. ``skip`` > 1 compares levels that far apart (latent consistency
    models, whose w is ours less one).
    """

    name = "cd"
    teacher: str | None = attrs.field(
        default=None,
        metadata={
            "help": "run directory of the diffusion model to distil; none: the phase before this one",
            "path": True,
        },
    )
    n: int = option(18, "number of noise levels", AT_LEAST_2)
    skip: int = option(1, "noise levels that one step of the ODE solver spans (skipping-step distillation)", AT_LEAST_1)
    solver: Literal["heun", "euler"] = option("heun", "solver of the diffusion model's probability-flow ODE")
    guidance: float = option(1.0, "scale of classifier-free guidance that is distilled; 1: none", AT_LEAST_0)
    mu: float = option(0.0, "decay of the teacher's exponential moving average; 0: the student's own weights", BELOW_1)

    def __attrs_post_init__(self) -> None:
        if self.skip >= self.n:
            raise UsageError(f"'skip' must be less than the number of levels, 'n' = {self.n} (got {self.skip})")
        if self.guidance_range is not None and self.guidance != 1:
            raise UsageError("expected 'guidance' or 'guidance_range', found both; leave one out")

    @property
    def distils(self) -> Distilled:
        return Distilled(self.teacher, self.guidance if self.guidance_range is None else self.guidance_range[1])

    def count(self, progress: float) -> int:
        return self.n

    def teacher_decay(self, progress: float) -> float:
        return self.mu

    def times(self, progress: float, draws: Draws) -> tuple[Tensor, Tensor]:
        return uniform_pairs(self.levels(progress), draws, self.skip)

    def move(self, diffusion: Estimate | None, guidance: Tensor | None) -> Move:
        if diffusion is None:
            raise UsageError("'cd' needs a diffusion model to distil; name its run as objective_options.teacher")
        solve = SOLVERS[self.solver]
        weight = self.guidance if guidance is None else guidance
        return lambda views, t, r, label: solve(Guided(diffusion, label, weight), views, t, r)
