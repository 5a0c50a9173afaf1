"""The globe as it is seen from far away."""

import math
from typing import Any, final

import attrs
import torch
from torch import Tensor

import inrkit

_CPU = torch.device("cpu")


@final
@attrs.frozen(eq=False)
class Globe:
    """Where the rays of an orthographic view meet the sphere, with north up: a place that `inrkit.SampleGrid` reads.

    Args:
        size: Height and width of the picture.
        latitude, longitude: Of the place in its middle, in degrees.
    """

    size: tuple[int, ...]
    latitude: float
    longitude: float
    index: None = None
    device: torch.device = _CPU

    @property
    def count(self) -> int:
        return math.prod(self.size)

    def to(self, device: torch.device | str) -> "Globe":
        return attrs.evolve(self, device=torch.device(device))

    def coords(self, start: int, stop: int) -> Tensor:
        """Latitude and longitude of places in [-1, 1], (1, stop - start, 2); beyond the rim, those of the rim."""
        up, right = self._seen(start, stop)
        beyond = torch.hypot(up, right).clamp_min(1.0)
        up, right = up / beyond, right / beyond
        toward = (1 - up**2 - right**2).clamp_min(0).sqrt()
        tilt, turn = math.radians(self.latitude), math.radians(self.longitude)
        north = (up * math.cos(tilt) + toward * math.sin(tilt)).clamp(-1, 1)
        ahead = toward * math.cos(tilt) - up * math.sin(tilt)
        longitude = torch.atan2(right, ahead) + turn
        longitude = torch.remainder(longitude + math.pi, 2 * math.pi) - math.pi
        return torch.stack([-torch.asin(north) * (2 / math.pi), longitude / math.pi], dim=-1)[None]

    @property
    def sky(self) -> Tensor:
        """Where there is nothing to be seen, (*size)."""
        return torch.unflatten(torch.hypot(*self._seen(0, self.count)) > 1, 0, self.size)

    def _seen(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """How far up and how far to the right of the middle, in radii."""
        height, width = self.size
        number = torch.arange(start, stop, device=self.device)
        least = min(height, width)
        return (height - 1 - 2 * (number // width)) / least, (2 * (number % width) + 1 - width) / least


@final
class SampleSphere(inrkit.Transform):
    """Reads the field at the places of a grid, or of a `Globe`, whose sky has no values (NaN)."""

    def __call__(self, field: inrkit.Field, where: Any) -> Tensor:
        values: Tensor = inrkit.SampleGrid()(field, where)
        return values.masked_fill(where.sky, math.nan) if isinstance(where, Globe) else values
