"""What fields on the sphere are: invented weather, maps from files, and the globe from any side."""

import io
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, final

import attrs
import numpy as np
import torch
from torch import Tensor

import inrkit
from inrkit_sphere.globe import Globe, SampleSphere


@final
class SphereModality(inrkit.GridModality):
    """A scalar at latitudes from north to south and longitudes from 180° west to 180° east."""

    name, summary, axes, space = "sphere", "fields on latitude and longitude, seen from any side", 2, "sphere"
    invented_size = (24, 48)
    presets: ClassVar[Mapping[str, Any]] = {"tiny": inrkit.tiny_preset(steps=600, patch=6)}

    def invent(self, chance: torch.Generator) -> Callable[[Tensor], Tensor]:
        """Weather: warm around an equator that moves with the season, waves of all sizes, and some cyclones."""
        season, warmth = torch.randn(2, generator=chance) * 0.15
        waves = torch.randn(3, 16, generator=chance) * torch.linspace(1, 4, 16)
        phase, strength = torch.rand(2, 16, generator=chance)
        eyes = torch.nn.functional.normalize(torch.randn(4, 3, generator=chance), dim=1)
        depth = torch.rand(4, generator=chance)

        def temperature(coords: Tensor) -> Tensor:
            place = inrkit.on_sphere(coords)
            zonal = 0.7 - 1.3 * (place[:, 2] - season).square() + warmth
            eddies = torch.cos(place @ waves + 2 * math.pi * phase) @ (strength * 0.5 / torch.linspace(1, 3, 16) / 2)
            cyclones = (torch.exp(30 * (place @ eyes.T - 1)) @ depth) * 0.8
            return torch.tanh(zonal + eddies - cyclones)[:, None]

        return temperature

    def transform(self) -> inrkit.Transform:
        return SampleSphere()

    def places(self, request: Mapping[str, str]) -> Sequence[Any]:
        """A map of any size, or the globe as seen from above a place: {"latitude": "50", "longitude": "10"}."""
        above = {key: request[key] for key in ("latitude", "longitude") if key in request}
        if not above:
            return super().places(request)
        try:
            angles = {key: float(value) for key, value in above.items()}
        except ValueError as error:
            raise inrkit.UsageError(f"latitude and longitude are numbers of degrees (got {above})") from error
        size = inrkit.parse_size(request.get("size", "256"), 2)
        return [Globe(size, angles.get("latitude", 0.0), angles.get("longitude", 0.0))]


@attrs.frozen(kw_only=True)
class LatLonOptions(inrkit.FilesOptions):
    """What the numbers in the files mean."""

    low: float = inrkit.option(-1.0, "physical value that is mapped to -1")
    high: float = inrkit.option(1.0, "physical value that is mapped to 1")

    @high.validator
    def _above_low(self, attribute: Any, value: float) -> None:
        if not value > self.low:
            raise ValueError(f"'high' must be above 'low' (got {value} and {self.low})")


@final
class LatLonImporter(inrkit.FilesImporter):
    """Arrays (latitudes, longitudes), north first, from 180° west."""

    name, summary, modality = "latlon", "maps as .npy files, north first, one to a file", "sphere"
    suffixes = (".npy",)
    Options = LatLonOptions

    def decode(self, data: bytes, options: LatLonOptions) -> np.ndarray:
        try:
            found = np.load(io.BytesIO(data), allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise inrkit.DataError(f"expected an array as .npy, found something else ({error})") from error
        found = found[0] if found.ndim == 3 and len(found) == 1 else found
        if found.ndim != 2 or found.dtype.kind not in "iuf" or not np.isfinite(found).all():
            raise inrkit.DataError(
                f"expected finite numbers (latitudes, longitudes), found {found.dtype} {found.shape}"
            )
        values: np.ndarray = (found[None] - options.low) * (2 / (options.high - options.low)) - 1
        return values.astype(np.float32)

    def attributes(self, options: LatLonOptions) -> Mapping[str, Any]:
        return {"low": options.low, "high": options.high}
