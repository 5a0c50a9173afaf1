"""Times from a continuous distribution: ECT and denoising."""

from typing import final

import attrs
import torch

from inrkit.core.noise import LogNormal
from inrkit.core.objective.base import Loss, Objective, Step, clean_rows, mean
from inrkit.core.objective.distance import Distance, distance_of, l2_norm
from inrkit.core.objective.pair import consistency_pair, pair_loss
from inrkit.core.objective.weighting import WEIGHTINGS, Weighting
from inrkit.core.option import AT_LEAST_0, POSITIVE, SHARE, option
from inrkit.core.timing import SigmoidPairing

DISTANCE_HELP = (
    "distance between the student's and the teacher's output: l2 (not squared), pseudo-huber, squared; "
    "features: that of LPIPS, by the network of the key 'features'"
)
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
        distance = distance_of(self.distance, self.c, step.features)
        return pair_loss(step, t, self.curriculum.r(t, step.progress), distance, self.weight)


@final
@attrs.frozen
class Diffusion(Objective):
    """Denoising as in EDM (arXiv:2206.00364), that is, consistency training with r = 0: f estimates E[x | x_t].

    Near t = 0, f is x_t whatever the INR shows, so that the INR learns nothing there, or to make up for the noise; and
    a sample along the ODE is kept as the INR of its end. So ``clean_share`` of the batch is given without noise, and
    its INRs have to show it, as in INRCT.
    """

    name = "diffusion"
    sampler = "heun"
    distance: Distance = option("squared", DISTANCE_HELP)
    c: float | None = option(None, C_HELP)
    weight: Weighting = option("edm", WEIGHT_HELP)
    p_mean: float = option(-1.2, P_MEAN_HELP)
    p_std: float = option(1.2, P_STD_HELP, POSITIVE)
    lambda_recon: float = option(
        10.0, "weight λ of the reconstruction loss (l2) of clean signals; 0: denoising alone", AT_LEAST_0
    )
    clean_share: float = option(0.2, "fraction of the batch that is reconstructed without noise", SHARE)

    def loss(self, step: Step) -> Loss:
        draws = step.draws.on_host
        t = LogNormal(self.p_mean, self.p_std).sample(draws)
        distance = distance_of(self.distance, self.c, step.features)
        if not self.lambda_recon:
            return pair_loss(step, t, torch.zeros_like(t), distance, self.weight)
        clean = clean_rows(draws.rows, self.clean_share)
        prediction, target = consistency_pair(step, t.masked_fill(clean, 0), torch.zeros_like(t))
        t, clean = step.sent(t, clean)
        gene = distance(prediction.observation.values, target)
        weight = WEIGHTINGS[self.weight](t, torch.zeros_like(t), prediction.sigma_data)
        terms = {
            "gene": mean(gene, weight * ~clean),
            "recon": mean(l2_norm(prediction.signal, step.batch.query.values), 1.0 * clean),
        }
        total = terms["gene"] + self.lambda_recon * terms["recon"]
        return Loss(total, terms, target, t.masked_fill(clean, 0))
