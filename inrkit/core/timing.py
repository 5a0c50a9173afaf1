"""Which lower noise level r is paired with each noise level t, and how r approaches t in the course of training.

Reference: ECT, Consistency Models Made Easy (arXiv:2406.14548).

``progress`` runs from 0 to 1 over a phase; a curriculum is divided into stages of equal length.
"""

import abc
from typing import final

import attrs
import torch
from torch import Tensor

from inrkit.core.option import AT_LEAST_0, AT_LEAST_1, POSITIVE, option


@attrs.frozen
class TimePairing(abc.ABC):
    """Chooses r for t. Laws: 0 <= r < t; r = 0 means that the clean signal is the target."""

    @abc.abstractmethod
    def r(self, t: Tensor, progress: float) -> Tensor:
        """The cleaner time of each t (B,)."""


def stage_of(progress: float, stages: int, offset: int = 0) -> int:
    """The exponent a = floor(progress * stages) + offset; the end of training still belongs to the last stage."""
    return min(int(progress * stages), stages - 1) + offset


@final
@attrs.frozen
class SigmoidPairing(TimePairing):
    """ECT: r/t = 1 - n(t) / q^a with n(t) = 1 + k sigmoid(-b t), clamped at 0; a is the stage.

    From scratch the exponent starts at 0, where every r is 0; ``offset`` = 1 is for warm starts from a diffusion model.
    """

    q: float = option(2.0, "base q of the curriculum r/t = 1 - n(t)/q^stage", POSITIVE)
    k: float = option(8.0, "k in the curriculum's n(t) = 1 + k sigmoid(-b t)", AT_LEAST_0)
    b: float = option(1.0, "b in the curriculum's n(t) = 1 + k sigmoid(-b t)", AT_LEAST_0)
    stages: int = option(8, "stages of the curriculum, equally long; each brings r closer to t", AT_LEAST_1)
    offset: int = option(0, "stage to begin at; 1 when fine-tuning a diffusion model", AT_LEAST_0)

    def stage(self, progress: float) -> int:
        """The exponent a."""
        return stage_of(progress, self.stages, self.offset)

    def r(self, t: Tensor, progress: float) -> Tensor:
        decay = self.q ** -self.stage(progress)
        n = 1 + self.k * torch.sigmoid(-self.b * t)
        return (t * (1 - decay * n)).clamp_min(0)


@final
@attrs.frozen
class ConstantPairing(TimePairing):
    """ECT's constant map: r/t = 1 - 1 / q^a for every t."""

    q: float = 2.0
    stages: int = 8
    offset: int = 0

    def r(self, t: Tensor, progress: float) -> Tensor:
        return t * (1 - self.q ** -stage_of(progress, self.stages, self.offset))


@final
@attrs.frozen
class ZeroPairing(TimePairing):
    """r = 0: consistency training becomes denoising, that is, a diffusion model."""

    def r(self, t: Tensor, progress: float) -> Tensor:
        return torch.zeros_like(t)
