"""Times from a continuous distribution: ECT and denoising."""

from typing import final

import attrs
import torch

from inrkit.core.noise import LogNormal
from inrkit.core.objective.base import Loss, Objective, Step
from inrkit.core.objective.distance import Distance, distance_of
from inrkit.core.objective.pair import pair_loss
from inrkit.core.objective.weighting import Weighting
from inrkit.core.option import POSITIVE, option
from inrkit.core.timing import SigmoidPairing

DISTANCE_HELP = "distance between the student's and the teacher's output: l2 (not squared), pseudo-huber, squared"
C_HELP = "constant c of the pseudo-Huber distance; none: 0.00054 sqrt(d) for d values, as in iCT"
WEIGHT_HELP = "loss weighting, as a function of the two noise levels t and r"
P_MEAN_HELP = "mean of ln t; t is drawn from a log-normal distribution"
P_STD_HELP = "standard deviation of ln t"
CURRICULUM_HELP = "curriculum of r/t (ECT)"


@final
@attrs.frozen
class Ect(Objective):
    """ECT (arXiv:2406.14548): L_gene alone; ``curriculum.offset`` = 1 fine-tunes a diffusion model."""

    name = "ect"
    distance: Distance = option("l2", DISTANCE_HELP)
    c: float | None = option(None, C_HELP)
    weight: Weighting = option("1/(t-r)", WEIGHT_HELP)
    p_mean: float = option(-1.1, P_MEAN_HELP)
    p_std: float = option(2.0, P_STD_HELP, POSITIVE)
    curriculum: SigmoidPairing = option(SigmoidPairing(), CURRICULUM_HELP)

    def stage(self, progress: float) -> int:
        return self.curriculum.stage(progress)

    def loss(self, step: Step) -> Loss:
        t = LogNormal(self.p_mean, self.p_std).sample(step.draws.on_host)
        return pair_loss(step, t, self.curriculum.r(t, step.progress), distance_of(self.distance, self.c), self.weight)


@final
@attrs.frozen
class Diffusion(Objective):
    """Denoising as in EDM (arXiv:2206.00364), that is, consistency training with r = 0: f estimates E[x | x_t]."""

    name = "diffusion"
    sampler = "heun"
    distance: Distance = option("squared", DISTANCE_HELP)
    c: float | None = option(None, C_HELP)
    weight: Weighting = option("edm", WEIGHT_HELP)
    p_mean: float = option(-1.2, P_MEAN_HELP)
    p_std: float = option(1.2, P_STD_HELP, POSITIVE)

    def loss(self, step: Step) -> Loss:
        t = LogNormal(self.p_mean, self.p_std).sample(step.draws.on_host)
        return pair_loss(step, t, torch.zeros_like(t), distance_of(self.distance, self.c), self.weight)
