"""What training minimises: distances, weightings, and one small class for each system of the papers.

Everything is a mean over the rows of a batch, and every row is weighed on its own, so that a batch may be split over
processes or micro-batches without changing the loss.
"""

import abc
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, final

import attrs
import torch
from torch import Tensor

from inrkit.core.draws import Draws
from inrkit.core.dropout import shared_dropout
from inrkit.core.noise import LogNormal
from inrkit.core.observation import Batch
from inrkit.core.pipeline import Pipeline, Prediction
from inrkit.core.timing import SigmoidPairing, TimePairing, ZeroPairing

# ---------------------------------------------------------------------------------------------- distances

_EPS = 1e-12  # keeps the gradient of the norm finite where student and target agree exactly


def squared(x: Tensor, y: Tensor) -> Tensor:
    """||x - y||² of each row, (B,)."""
    return (x - y).float().flatten(1).square().sum(1)


def l2_norm(x: Tensor, y: Tensor) -> Tensor:
    """||x - y|| of each row, un-squared (ECT with c = 0)."""
    return (squared(x, y) + _EPS).sqrt()


def pseudo_huber(x: Tensor, y: Tensor, c: float | None = None) -> Tensor:
    """sqrt(||x - y||² + c²) - c of each row; c = .00054 sqrt(d) for d values (iCT)."""
    c = 0.00054 * x[0].numel() ** 0.5 if c is None else c
    return (squared(x, y) + c**2).sqrt() - c


Distance = Literal["l2", "pseudo-huber", "squared"]
DISTANCES: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "l2": l2_norm,
    "pseudo-huber": pseudo_huber,
    "squared": squared,
}

# ---------------------------------------------------------------------------------------------- weightings

Weighting = Literal["uniform", "1/t", "1/(t-r)", "t/(t-r)", "edm"]
WEIGHTINGS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "uniform": lambda t, r: torch.ones_like(t),
    "1/t": lambda t, r: 1 / t,
    "1/(t-r)": lambda t, r: 1 / (t - r),
    "t/(t-r)": lambda t, r: t / (t - r),
    "edm": lambda t, r: (t**2 + 0.25) / (0.5 * t) ** 2,  # unit weight of the network's own output, σ_data = .5
}

# ---------------------------------------------------------------------------------------------- objectives


@attrs.frozen(eq=False)
class Loss:
    """The mean over our rows, to be differentiated, and the named parts it is made of, to be logged."""

    total: Tensor
    terms: Mapping[str, Tensor]


@attrs.frozen
class Objective(abc.ABC):
    """Turns a batch into a loss. Its fields are its options."""

    name: ClassVar[str]

    @abc.abstractmethod
    def loss(
        self, student: Callable[..., Prediction], teacher: Pipeline, batch: Batch, draws: Draws, progress: float
    ) -> Loss:
        """The loss of these rows.

        Args:
            student: The pipeline that learns, possibly wrapped for several processes. Called exactly once.
            teacher: The pipeline that sets the target; its own weights or a moving average of them.
            batch: Clean observations.
            draws: Chance for these rows.
            progress: From 0 to 1 through the phase.
        """


def consistency_pair(
    student: Callable[..., Prediction],
    teacher: Pipeline,
    batch: Batch,
    draws: Draws,
    t: Tensor,
    r: Tensor,
) -> tuple[Prediction, Tensor]:
    """The student's prediction at t and the target it should agree with.

    The target is the teacher's f at r under the same noise and the same dropout mask; where r = 0 it is the clean
    signal and needs no teacher pass, so the teacher sees only the other rows.
    """
    noise, query_noise = batch.noise(draws)
    noisy, query = batch.support.perturb(noise, t), batch.query.perturb(query_noise, t)
    with shared_dropout(draws.seed, draws.total, draws.rows):
        prediction = student(noisy, t, query, batch.label)
    target = batch.query.values
    index = torch.nonzero(r > 0).squeeze(1)
    if len(index):
        part, r_part = batch.rows(index), r[index]
        noisy = part.support.perturb(noise[index], r_part)
        query = part.query.perturb(query_noise[index], r_part)
        with torch.no_grad(), shared_dropout(draws.seed, draws.total, draws.rows[index]):
            output = teacher(noisy, r_part, query, part.label).observation.values
        target = target.index_copy(0, index, output.nan_to_num().to(target.dtype))
    return prediction, target


def _levels(p_mean: float, p_std: float) -> LogNormal:
    return LogNormal(p_mean, p_std)


def _mean(per_row: Tensor, weight: Tensor) -> Tensor:
    """Mean over all rows; rows of weight 0 count as rows, so that terms do not jump with their number."""
    return (per_row * weight).mean()


@final
@attrs.frozen
class Inrct(Objective):
    """λ_gene L_gene + λ_recon L_recon + λ_diff L_diff of INRCT, all from one student pass.

    L_gene is consistency training with ECT's curriculum. L_recon asks that the INR of a clean signal shows the signal;
    ``clean_share`` of the batch is given to it, beside the rows whose t happens to lie below ``t_recon``. L_diff pulls
    f towards the clean signal at small t. ``t_diff`` = .0865 is the 25 % quantile of p(t).
    """

    name = "inrct"
    lambda_gene: float = 1.0
    lambda_recon: float = 1.0
    lambda_diff: float = 0.0
    distance: Distance = "l2"
    weight_gene: Weighting = "1/(t-r)"
    weight_recon: Weighting = "uniform"
    weight_diff: Weighting = "1/t"
    clean_share: float = 0.2
    t_recon: float = 0.007
    t_diff: float = 0.0865
    p_mean: float = -1.1
    p_std: float = 2.0
    stages: int = 8
    q: float = 2.0
    k: float = 8.0
    b: float = 1.0
    stage_offset: int = 0

    @property
    def pairing(self) -> TimePairing:
        return SigmoidPairing(self.q, self.k, self.b, self.stages, self.stage_offset)

    def clean_rows(self, rows: Tensor) -> Tensor:
        """Which rows (numbers in the global batch) are given to reconstruction, spread evenly; at least the first."""
        return ((rows + 1) * self.clean_share).ceil() > (rows * self.clean_share).ceil()

    def loss(
        self, student: Callable[..., Prediction], teacher: Pipeline, batch: Batch, draws: Draws, progress: float
    ) -> Loss:
        clean = self.clean_rows(draws.rows)
        t = _levels(self.p_mean, self.p_std).sample(draws)
        r = self.pairing.r(t, progress).masked_fill(clean, 0)
        prediction, target = consistency_pair(student, teacher, batch, draws, t.masked_fill(clean, 0), r)

        distance, signal = DISTANCES[self.distance], batch.query.values
        gene = distance(prediction.observation.values, target)
        recon = distance(prediction.signal, signal)
        near_zero = clean | (t < self.t_recon)
        terms = {
            "gene": _mean(gene, WEIGHTINGS[self.weight_gene](t, r) * ~clean),
            "recon": _mean(recon, torch.where(clean, 1.0, WEIGHTINGS[self.weight_recon](t, r)) * near_zero),
        }
        total = self.lambda_gene * terms["gene"] + self.lambda_recon * terms["recon"]
        if self.lambda_diff:
            diff = distance(prediction.observation.values, signal)
            terms["diff"] = _mean(diff, WEIGHTINGS[self.weight_diff](t, r) * (~clean & (t < self.t_diff)))
            total = total + self.lambda_diff * terms["diff"]
        return Loss(total, {name: term.detach() for name, term in terms.items()})


@final
@attrs.frozen
class Reconstruction(Objective):
    """L_recon alone: INRs of (nearly) clean signals show the signals; INRCT's first phase.

    t ~ U(0, t_recon); with t_recon = 0 the input is exactly clean. No weight 1/t here: its mean would diverge.
    """

    name = "reconstruction"
    distance: Distance = "l2"
    t_recon: float = 0.0

    def loss(
        self, student: Callable[..., Prediction], teacher: Pipeline, batch: Batch, draws: Draws, progress: float
    ) -> Loss:
        t = draws.uniform() * self.t_recon
        prediction, _ = consistency_pair(student, teacher, batch, draws, t, torch.zeros_like(t))
        recon = DISTANCES[self.distance](prediction.signal, batch.query.values).mean()
        return Loss(recon, {"recon": recon.detach()})


@final
@attrs.frozen
class Ect(Objective):
    """Easy consistency tuning: L_gene alone. ``stage_offset`` = 1 continues from a diffusion model."""

    name = "ect"
    distance: Distance = "l2"
    weight: Weighting = "1/(t-r)"
    p_mean: float = -1.1
    p_std: float = 2.0
    stages: int = 8
    q: float = 2.0
    k: float = 8.0
    b: float = 1.0
    stage_offset: int = 0

    def loss(
        self, student: Callable[..., Prediction], teacher: Pipeline, batch: Batch, draws: Draws, progress: float
    ) -> Loss:
        pairing = SigmoidPairing(self.q, self.k, self.b, self.stages, self.stage_offset)
        return _pair_loss(self, pairing, student, teacher, batch, draws, progress)


@final
@attrs.frozen
class Diffusion(Objective):
    """Denoising as in EDM, that is, consistency training with r = 0: f is the mean of the clean signal given x_t."""

    name = "diffusion"
    distance: Distance = "squared"
    weight: Weighting = "edm"
    p_mean: float = -1.2
    p_std: float = 1.2

    def loss(
        self, student: Callable[..., Prediction], teacher: Pipeline, batch: Batch, draws: Draws, progress: float
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
    t = _levels(objective.p_mean, objective.p_std).sample(draws)
    r = pairing.r(t, progress)
    prediction, target = consistency_pair(student, teacher, batch, draws, t, r)
    distance = DISTANCES[objective.distance](prediction.observation.values, target)
    gene = _mean(distance, WEIGHTINGS[objective.weight](t, r))
    return Loss(gene, {"gene": gene.detach()})


OBJECTIVES: Mapping[str, type[Objective]] = {kind.name: kind for kind in (Inrct, Reconstruction, Ect, Diffusion)}


def make_objective(name: str, options: Mapping[str, Any]) -> Objective:
    """The objective of this name with these options; whoever reads a config has checked both."""
    return OBJECTIVES[name](**options)
