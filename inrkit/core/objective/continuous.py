"""Times from a continuous distribution: ECT and denoising. `Inrct` shares their options."""

from collections.abc import Callable
from typing import final

import attrs

from inrkit.core.draws import Draws
from inrkit.core.noise import LogNormal
from inrkit.core.objective.base import Loss, Objective, mean
from inrkit.core.objective.distance import Distance, distance_of
from inrkit.core.objective.ode import Denoise
from inrkit.core.objective.pair import consistency_pair
from inrkit.core.objective.weighting import WEIGHTINGS, Weighting
from inrkit.core.observation import Batch
from inrkit.core.option import AT_LEAST_0, AT_LEAST_1, POSITIVE, option
from inrkit.core.pipeline import Pipeline, Prediction
from inrkit.core.timing import SigmoidPairing, TimePairing, ZeroPairing, stage_of

DISTANCE_HELP = "between answer and target: l2 (un-squared), pseudo-huber, squared"
C_HELP = "constant of pseudo-huber; none: .00054 sqrt(number of values)"
WEIGHT_HELP = "how much a row counts, by its times"
P_MEAN_HELP = "mean of ln t"
P_STD_HELP = "standard deviation of ln t"


@attrs.frozen
class Curriculum:
    """The options of ECT's r for t, and the pairing that they describe."""

    stages: int = option("stages of equal length; in each, r comes closer to t", 8, AT_LEAST_1)
    q: float = option("base of the curriculum: r/t = 1 - n(t)/q^stage", 2.0, POSITIVE)
    k: float = option("n(t) = 1 + k sigmoid(-b t)", 8.0, AT_LEAST_0)
    b: float = option("n(t) = 1 + k sigmoid(-b t)", 1.0, AT_LEAST_0)
    stage_offset: int = option("first stage; 1 where a diffusion model is the start", 0, AT_LEAST_0)

    @property
    def pairing(self) -> TimePairing:
        return SigmoidPairing(self.q, self.k, self.b, self.stages, self.stage_offset)

    def stage(self, progress: float) -> int:
        return stage_of(progress, self.stages, self.stage_offset)


@final
@attrs.frozen
class Ect(Curriculum, Objective):
    """Easy consistency tuning: L_gene alone. ``stage_offset`` = 1 continues from a diffusion model."""

    name = "ect"
    distance: Distance = option(DISTANCE_HELP, "l2")
    c: float | None = option(C_HELP, None)
    weight: Weighting = option(WEIGHT_HELP, "1/(t-r)")
    p_mean: float = option(P_MEAN_HELP, -1.1)
    p_std: float = option(P_STD_HELP, 2.0, POSITIVE)

    def loss(
        self,
        student: Callable[..., Prediction],
        teacher: Pipeline,
        batch: Batch,
        draws: Draws,
        progress: float,
        diffusion: Denoise | None = None,
    ) -> Loss:
        return _pair_loss(self, self.pairing, student, teacher, batch, draws, progress)


@final
@attrs.frozen
class Diffusion(Objective):
    """Denoising as in EDM, that is, consistency training with r = 0: f is the mean of the clean signal given x_t."""

    name = "diffusion"
    distance: Distance = option(DISTANCE_HELP, "squared")
    c: float | None = option(C_HELP, None)
    weight: Weighting = option(WEIGHT_HELP, "edm")
    p_mean: float = option(P_MEAN_HELP, -1.2)
    p_std: float = option(P_STD_HELP, 1.2, POSITIVE)

    def loss(
        self,
        student: Callable[..., Prediction],
        teacher: Pipeline,
        batch: Batch,
        draws: Draws,
        progress: float,
        diffusion: Denoise | None = None,
    ) -> Loss:
        return _pair_loss(self, ZeroPairing(), student, teacher, batch, draws, progress)


def _pair_loss(
    objective: Ect | Diffusion,
    pairing: TimePairing,
    student: Callable[..., Prediction],
    teacher: Pipeline,
    batch: Batch,
    draws: Draws,
    progress: float,
) -> Loss:
    t = LogNormal(objective.p_mean, objective.p_std).sample(draws)
    r = pairing.r(t, progress)
    prediction, target = consistency_pair(student, teacher, batch, draws, t, r)
    distance = distance_of(objective.distance, objective.c)(prediction.observation.values, target)
    gene = mean(distance, WEIGHTINGS[objective.weight](t, r, prediction.sigma_data))
    return Loss(gene, {"gene": gene.detach()})
