"""What a coarse grid tells of fields: where nothing is to be seen, and what they roughly answer elsewhere."""

from typing import final

import attrs
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.quasirandom import SobolEngine

from inrkit import Field, grid_centers

_UNSEEN = -3.0  # raw densities below this differ by nothing that can be seen
_CERTAIN = 3.0  # a grid's answers are trusted within so many of the errors that some points show
_KNOWN = 0.5  # a grid with errors of more than this share of the density's variance is not trusted at all
_SOME = 1 << 11  # such points
_AT_ONCE = 1 << 11  # points that a field is asked for at a time


@final
@attrs.frozen(eq=False)
class Guess:
    """What fields probably answer at some places, and their raw density at least and at most, (B, ...)."""

    raw: Tensor  # (B, ..., channels)
    least: Tensor
    most: Tensor


@final
@attrs.frozen(eq=False)
class Occupancy:
    """Answers of fields in the middle of cells of the box from ``low`` to ``high``; between them, what is in between.

    It is raw answers that are interpolated, which change evenly where densities rise by orders of magnitude. Two
    further channels hold the raw density at least and at most, the wider apart the more cells differ from those around
    them.
    """

    cells: Tensor  # (B, channels + 2, N, N, N), the last axis being x
    low: Tensor
    high: Tensor

    def at(self, points: Tensor) -> Guess:
        """At points (B or 1, R, S, 3) of each object."""
        scale = 2 / (self.high - self.low)
        place = torch.addcmul(-self.low * scale - 1, points, scale)[:, None].expand(len(self.cells), -1, -1, -1, -1)
        found = F.grid_sample(self.cells, place, padding_mode="border", align_corners=False)[:, :, 0]
        return Guess(found[:, :-2].movedim(1, -1), found[:, -2], found[:, -1])

    def highest(self) -> tuple[Tensor, Tensor]:
        """The highest that ``raw`` and ``most`` of densities are within cells, (B, N, N, N), the first axis being x."""
        pooled = F.max_pool3d(self.cells[:, [0, -1]], 3, stride=1, padding=1).transpose(2, 4)
        return pooled[:, 0], pooled[:, 1]


def occupancy_of(field: Field, low: Tensor, high: Tensor, side: int) -> Occupancy:
    """From raw answers (B, P, channels) of fields, the density first, at points (1, P, 3) of the box.

    How far an answer may be from what is interpolated is taken to be a multiple of the density's curvature in the
    neighbourhood. Which multiple, some points tell at which each field is asked too.
    """
    middles = (grid_centers((side, side, side), low.device) + 1) / 2 * (high - low) + low
    answers = torch.cat([field(part).float() for part in middles[None].split(_AT_ONCE, dim=1)], 1)
    cells = answers.mT.unflatten(2, (side, side, side)).transpose(2, 4).contiguous()
    density = cells[:, :1].clamp_min(_UNSEEN)
    doubt = _curvature(density)
    points = low + (high - low) * SobolEngine(3, scramble=True, seed=0).draw(_SOME).to(low)
    guess = Occupancy(torch.cat([doubt, density, doubt], 1), low, high).at(points[None, :, None])
    truth = field(points[None])[..., 0].float().clamp_min(_UNSEEN)
    error, expected = (x.square().mean(1) for x in (truth - guess.least[..., 0], guess.most[..., 0]))
    scale = torch.where(error > _KNOWN * truth.var(1), torch.inf, _CERTAIN * (error / expected.clamp_min(1e-9)).sqrt())
    doubt = (doubt * scale[:, None, None, None, None]).clamp(1e-3, 1e3)
    return Occupancy(torch.cat([cells, cells[:, :1] - doubt, density + doubt], 1), low, high)


def _curvature(density: Tensor) -> Tensor:
    """How much cells (B, 1, N, N, N) differ from those around them, at most, in the neighbourhood."""
    around = F.avg_pool3d(F.pad(density, (1,) * 6, mode="replicate"), 3, stride=1)
    return F.max_pool3d((density - around).abs(), 3, stride=1, padding=1)
