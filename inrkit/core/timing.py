"""Which lower noise level r is paired with each noise level t, and how r approaches t in the course of training.

Reference: ECT, Consistency Models Made Easy (arXiv:2406.14548).

``progress`` runs from 0 to 1 over a phase; a curriculum is divided into stages of equal length.
"""

from typing import final

import attrs
import torch
from torch import Tensor

from inrkit.core.option import AT_LEAST_0, AT_LEAST_1, POSITIVE, option


@final
@attrs.frozen
class SigmoidPairing:
    """ECT: r/t = 1 - n(t) / q^a with n(t) = 1 + k sigmoid(-b t), clamped at 0; a is the stage.

    Law: 0 <= r < t; r = 0 means that the clean signal is the target. k = 0 is ECT's constant map.

    From scratch the exponent starts at 0, where every r is 0; ``offset`` = 1 is for warm starts from a diffusion model.
    """

    q: float = option(2.0, "base q of the curriculum r/t = 1 - n(t)/q^stage", POSITIVE)
    k: float = option(8.0, "k in the curriculum's n(t) = 1 + k sigmoid(-b t)", AT_LEAST_0)
    b: float = option(1.0, "b in the curriculum's n(t) = 1 + k sigmoid(-b t)", AT_LEAST_0)
    stages: int = option(8, "stages of the curriculum, equally long; each brings r closer to t", AT_LEAST_1)
    offset: int = option(0, "stage to begin at; 1 when fine-tuning a diffusion model", AT_LEAST_0)

    def stage(self, progress: float) -> int:
        """The exponent a = floor(progress * stages) + offset; the end of training still belongs to the last stage."""
        return min(int(progress * self.stages), self.stages - 1) + self.offset

    def r(self, t: Tensor, progress: float) -> Tensor:
        """The cleaner time of each t (B,)."""
        decay = self.q ** -self.stage(progress)
        n = 1 + self.k * torch.sigmoid(-self.b * t)
        return (t * (1 - decay * n)).clamp_min(0)
