"""Discrete noise levels: consistency training as in Consistency Models, CM-Func, and iCT."""

import abc
import functools
import math
from typing import Literal, final

import attrs
from attrs.validators import and_
from torch import Tensor

from inrkit.core.draws import Draws
from inrkit.core.guide import Estimate
from inrkit.core.karras import (
    doubling_count,
    karras_levels,
    lognormal_pairs,
    square_root_count,
    uniform_pairs,
)
from inrkit.core.objective.base import Loss, Objective, Step
from inrkit.core.objective.continuous import C_HELP, DISTANCE_HELP, P_MEAN_HELP, P_STD_HELP, WEIGHT_HELP
from inrkit.core.objective.distance import Distance, distance_of
from inrkit.core.objective.pair import Move, pair_loss
from inrkit.core.objective.weighting import Weighting
from inrkit.core.option import AT_LEAST_2, BELOW_1, POSITIVE, option
from inrkit.errors import UsageError


def _above_min(objective: "OnGrid", attribute: object, value: float) -> None:
    if objective.sigma_min >= value:
        raise UsageError(f"'sigma_min' must be below 'sigma_max' = {value} (got {objective.sigma_min})")


def _from_s0(objective: "Song | Ict", attribute: object, value: int) -> None:
    if value < objective.s0:
        raise UsageError(f"'s1' must be at least 's0' = {objective.s0} (got {value})")


def _skipping(objective: "Song", attribute: object, value: int) -> None:
    if not 1 <= value < objective.s0:
        raise UsageError(f"'skip' must be from 1 to below 's0' = {objective.s0} (got {value})")


def _is_range(objective: "OnGrid", attribute: object, value: tuple[float, float] | None) -> None:
    if value is not None and not 0 <= value[0] < value[1] < math.inf:
        raise UsageError(f"'guidance_range' must be two numbers from 0, the lower one first (got {value})")


@attrs.frozen
class OnGrid(Objective):
    """What objectives on a grid have in common: f at a level should be the teacher's f at the next cleaner one."""

    sigma_min: float = option(0.002, "lowest noise level", POSITIVE)
    sigma_max: float = option(80.0, "highest noise level", and_(POSITIVE, _above_min))
    rho: float = option(7.0, "exponent ρ of the spacing of noise levels (EDM)", POSITIVE)
    distance: Distance = option("squared", DISTANCE_HELP)
    c: float | None = option(None, C_HELP)
    weight: Weighting = option("uniform", WEIGHT_HELP)
    guidance_range: tuple[float, float] | None = option(
        None,
        "lowest and highest guidance scale, one of which is drawn for each signal and told to the student (latent "
        "consistency models); none: the student is told none",
        _is_range,
    )

    @property
    def tells_guidance(self) -> tuple[float, float] | None:
        return self.guidance_range

    @abc.abstractmethod
    def count(self, progress: float) -> int:
        """N: how many levels there are."""

    def stage(self, progress: float) -> int:
        return self.count(progress)

    def levels(self, progress: float) -> Tensor:
        """σ_0 = σ_max ... σ_(N-1) = σ_min, (N,)."""
        return karras_levels(self.count(progress), self.sigma_min, self.sigma_max, self.rho)

    def times(self, progress: float, draws: Draws) -> tuple[Tensor, Tensor]:
        """t and r of each row, (B,)."""
        return uniform_pairs(self.levels(progress), draws)

    def move(self, diffusion: Estimate | None, guidance: Tensor | None) -> Move | None:
        """How what is seen at r comes from what is seen at t, by the ``guidance`` that each row is told; None: with the
        same noise."""
        return None

    def loss(self, step: Step) -> Loss:
        t, r = self.times(step.progress, step.draws.on_host)
        guidance = None
        if self.guidance_range is not None:
            low, high = self.guidance_range
            guidance = low + (high - low) * step.draws.fork("guidance").uniform()
            # No r is 0 on this grid, so that the teacher is asked about all rows.
            passes = (functools.partial(asked, guidance=guidance) for asked in (step.student, step.teacher))
            student, teacher = passes
            step = attrs.evolve(step, student=student, teacher=teacher)
        move = self.move(step.diffusion, guidance)
        return pair_loss(step, t, r, distance_of(self.distance, self.c, step.features), self.weight, move)


@attrs.frozen
class Song(OnGrid):
    """The schedules of Consistency Models: ever more noise levels, and a teacher that follows ever more slowly."""

    s0: int = option(2, "number of noise levels at the start of training", AT_LEAST_2)
    s1: int = option(150, "number of noise levels at the end of training, minus one", and_(AT_LEAST_2, _from_s0))
    mu0: float = option(0.9, "initial decay of the teacher's moving average; 0: the student's own weights", BELOW_1)
    mu: Literal["code", "paper"] = option(
        "code", "n in the teacher's decay exp(s0 ln mu0 / n), for N noise levels: N - 1 (authors' code) or N (paper)"
    )
    skip: int = option(1, "noise levels between t and r (latent consistency fine-tuning); below 's0'", _skipping)

    def count(self, progress: float) -> int:
        return square_root_count(progress, self.s0, self.s1)

    def times(self, progress: float, draws: Draws) -> tuple[Tensor, Tensor]:
        return uniform_pairs(self.levels(progress), draws, self.skip)

    def teacher_decay(self, progress: float) -> float:
        if self.mu0 == 0:
            return 0.0
        return math.exp(self.s0 * math.log(self.mu0) / (self.count(progress) - (self.mu == "code")))


@final
@attrs.frozen
class Ct(Song):
    """Consistency training (arXiv:2303.01469): f at a level should be f at the next lower one, under the same noise.

    N(k) levels, i uniform; the teacher is a moving average with decay mu(k). The paper compares with LPIPS, which needs
    another trained network: ``distance`` = "features".
    """

    name = "ct"


@final
@attrs.frozen
class CmFunc(Song):
    """CM-Func (OpenReview C65Hpf02Ay): consistency training after a pre-training of the decoder.

    In a first phase (``warmup_share``) clean signals are reconstructed, squared, with the encoder skipped; then `ct`.
    """

    name = "cm-func"
    begins_with = "decoder"


@final
@attrs.frozen
class Ict(OnGrid):
    """iCT (arXiv:2310.14189): pseudo-Huber distance, no averaged teacher; levels double, with log-normal weights."""

    name = "ict"
    distance: Distance = option("pseudo-huber", DISTANCE_HELP)
    weight: Weighting = option("1/(t-r)", WEIGHT_HELP)
    s0: int = option(10, "number of noise levels at the start of training, minus one", AT_LEAST_2)
    s1: int = option(1280, "number of noise levels at the end of training, minus one", and_(AT_LEAST_2, _from_s0))
    p_mean: float = option(-1.1, P_MEAN_HELP)
    p_std: float = option(2.0, P_STD_HELP, POSITIVE)

    def count(self, progress: float) -> int:
        return doubling_count(progress, self.s0, self.s1)

    def times(self, progress: float, draws: Draws) -> tuple[Tensor, Tensor]:
        return lognormal_pairs(self.levels(progress), draws, self.p_mean, self.p_std)
