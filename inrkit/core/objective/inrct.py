"""INRCT: one network that generates and encodes; and reconstruction alone, which it begins with."""

import math
from typing import final

import attrs
import torch

from inrkit.core.noise import T_ENCODE, LogNormal
from inrkit.core.objective.base import Loss, Objective, Step, clean_rows, mean
from inrkit.core.objective.continuous import C_HELP, CURRICULUM_HELP, DISTANCE_HELP, P_MEAN_HELP, P_STD_HELP
from inrkit.core.objective.distance import Distance, distance_of
from inrkit.core.objective.pair import consistency_pair
from inrkit.core.objective.weighting import WEIGHTINGS, Weighting
from inrkit.core.option import AT_LEAST_0, POSITIVE, SHARE, option
from inrkit.core.timing import SigmoidPairing


@final
@attrs.frozen
class Inrct(Objective):
    """INRCT: λ_gene L_gene + λ_recon L_recon + λ_diff L_diff, all from one forward pass of the student.

    L_gene is consistency training with the curriculum of ECT (arXiv:2406.14548). L_recon asks that the INR of a clean
    signal shows the signal; ``clean_share`` of the batch is given to it, beside the rows whose t happens to lie below
    ``t_recon``. L_diff pulls f towards the clean signal at t < ``t_diff``.

    The gradient of L_gene with l2 and 1/(t-r) grows with the curriculum, about as q^(a/2) in stage a, while that of
    L_recon does not: ``gene_decay`` = .5 keeps their shares as they were in the first stage.
    """

    name = "inrct"
    begins_with = "all"
    lambda_gene: float = option(1.0, "weight λ of the generation (consistency) loss", AT_LEAST_0)
    lambda_recon: float = option(10.0, "weight λ of the reconstruction loss", AT_LEAST_0)
    lambda_diff: float = option(0.0, "weight λ of the denoising loss, which acts at small t", AT_LEAST_0)
    gene_decay: float = option(
        0.0,
        "the generation loss is multiplied by q^(-gene_decay a) after a stages of the curriculum; 0.5 keeps its share "
        "of the gradient about constant where distance = l2 and weight_gene = 1/(t-r)",
        AT_LEAST_0,
    )
    distance: Distance = option("l2", DISTANCE_HELP)
    c: float | None = option(None, C_HELP)
    weight_gene: Weighting = option("1/(t-r)", "loss weighting of the generation loss, as a function of t and r")
    weight_recon: Weighting = option("uniform", "loss weighting of the reconstruction loss on noisy inputs")
    weight_diff: Weighting = option("1/t", "loss weighting of the denoising loss")
    clean_share: float = option(0.2, "fraction of the batch that is reconstructed without noise", SHARE)
    t_recon: float = option(T_ENCODE, "noise level below which the reconstruction loss also applies", AT_LEAST_0)
    t_diff: float | None = option(
        None,
        "noise level below which the denoising loss applies; none: the 25 % quantile of p(t), which is 0.086 for "
        "p_mean = -1.1 and p_std = 2",
        AT_LEAST_0,
    )
    p_mean: float = option(-1.1, P_MEAN_HELP)
    p_std: float = option(2.0, P_STD_HELP, POSITIVE)
    curriculum: SigmoidPairing = option(SigmoidPairing(), CURRICULUM_HELP)

    def stage(self, progress: float) -> int:
        return self.curriculum.stage(progress)

    def gene_factor(self, progress: float) -> float:
        """What L_gene is multiplied by in this stage of the curriculum."""
        stages = self.stage(progress) - self.stage(0.0)
        return self.lambda_gene * math.pow(self.curriculum.q, -self.gene_decay * stages)

    def denoised_below(self) -> float:
        """The noise level below which L_diff acts."""
        return LogNormal(self.p_mean, self.p_std).quantile(0.25) if self.t_diff is None else self.t_diff

    def loss(self, step: Step) -> Loss:
        draws = step.draws.on_host
        clean = clean_rows(draws.rows, self.clean_share)
        t = LogNormal(self.p_mean, self.p_std).sample(draws)
        r = self.curriculum.r(t, step.progress).masked_fill(clean, 0)
        prediction, target = consistency_pair(step, t.masked_fill(clean, 0), r)
        t, r, clean = step.sent(t, r, clean)

        distance, signal = distance_of(self.distance, self.c, step.features), step.batch.query.values
        sigma = prediction.sigma_data
        gene = distance(prediction.observation.values, target)
        recon = distance(prediction.signal, signal)
        near_zero = clean | (t < self.t_recon)
        terms = {
            "gene": mean(gene, WEIGHTINGS[self.weight_gene](t, r, sigma) * ~clean),
            "recon": mean(recon, torch.where(clean, 1.0, WEIGHTINGS[self.weight_recon](t, r, sigma)) * near_zero),
        }
        total = self.gene_factor(step.progress) * terms["gene"] + self.lambda_recon * terms["recon"]
        if self.lambda_diff:
            diff = distance(prediction.observation.values, signal)
            small = ~clean & (t < self.denoised_below())
            terms["diff"] = mean(diff, WEIGHTINGS[self.weight_diff](t, r, sigma) * small)
            total = total + self.lambda_diff * terms["diff"]
        return Loss(total, terms, target, t.masked_fill(clean, 0))


@final
@attrs.frozen
class Reconstruction(Objective):
    """L_recon alone: INRs of (nearly) clean signals show the signals; INRCT's first phase.

    t ~ U(0, t_recon); with t_recon = 0 the input is exactly clean. No weight 1/t here: its mean would diverge.
    """

    name = "reconstruction"
    distance: Distance = option("l2", DISTANCE_HELP)
    c: float | None = option(None, C_HELP)
    t_recon: float = option(0.0, "highest noise level that is added to the input; 0: the input is clean", AT_LEAST_0)

    def loss(self, step: Step) -> Loss:
        t = step.draws.on_host.uniform() * self.t_recon
        prediction, target = consistency_pair(step, t, torch.zeros_like(t))
        recon = distance_of(self.distance, self.c, step.features)(prediction.signal, target).mean()
        return Loss(recon, {"recon": recon}, t=t)
