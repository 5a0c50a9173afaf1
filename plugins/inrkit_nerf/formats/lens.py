"""What lenses do to pictures: the distortion that programs of photogrammetry give, and pictures without it.

A lens moves the point (x, y) of the plane z = 1 to (x', y'), and the pixel is (fx x' + cx, fy y' + cy). To undo it,
each pixel of the new picture looks where the lens has put its point: no equation has to be solved.
"""

from collections.abc import Mapping
from typing import Any, final

import attrs
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from inrkit import DataError
from inrkit_nerf.cameras import Cameras, directions_at, pixel_positions

COEFFICIENTS = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")
"""OpenCV's, in its order."""

# Names of programs and formats for what a lens does; None: to be refused.
_MODELS: Mapping[str, str | None] = {
    **dict.fromkeys(("PINHOLE", "SIMPLE_PINHOLE", "PERSPECTIVE"), "brown"),
    **dict.fromkeys(("SIMPLE_RADIAL", "RADIAL", "OPENCV", "FULL_OPENCV"), "brown"),
    **dict.fromkeys(("SIMPLE_RADIAL_FISHEYE", "RADIAL_FISHEYE", "OPENCV_FISHEYE"), "fisheye"),
}


@final
@attrs.frozen
class Lens:
    """Distortion by a model ("brown", of radial and tangential terms as in OpenCV, or "fisheye") and its coefficients.

    Args:
        name: What the source calls it.
    """

    name: str
    model: str
    coefficients: Mapping[str, float]

    @property
    def bends(self) -> bool:
        """Whether it is other than a pinhole."""
        return self.model == "fisheye" or any(self.coefficients.values())

    def move(self, points: Tensor) -> Tensor:
        """Points (..., 2) of the plane z = 1 to where the lens shows them."""
        k = {name: self.coefficients.get(name, 0.0) for name in COEFFICIENTS}
        x, y = points.unbind(-1)
        r = x * x + y * y
        if self.model == "fisheye":
            distance = r.sqrt().clamp_min(1e-12)
            angle = distance.atan()
            a = angle * angle
            bent = angle * (1 + a * (k["k1"] + a * (k["k2"] + a * (k["k3"] + a * k["k4"]))))
            return points * (bent / distance)[..., None]
        radial = (1 + r * (k["k1"] + r * (k["k2"] + r * k["k3"]))) / (1 + r * (k["k4"] + r * (k["k5"] + r * k["k6"])))
        across = 2 * k["p1"] * x * y + k["p2"] * (r + 2 * x * x)
        down = k["p1"] * (r + 2 * y * y) + 2 * k["p2"] * x * y
        return torch.stack([x * radial + across, y * radial + down], -1)

    def undo(self, pixels: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
        """The picture (H, W, C) that a pinhole with these intrinsics would have taken; its rim goes on outwards."""
        height, width = pixels.shape[:2]
        camera = Cameras(torch.eye(4), torch.from_numpy(intrinsics).float(), (height, width))
        seen = self.move(directions_at(camera, pixel_positions(camera.size))[:, :2])
        places = (seen * camera.intrinsics[:2] + camera.intrinsics[2:]) / torch.tensor([width, height]) * 2 - 1
        image = torch.from_numpy(pixels.astype(np.float32)).movedim(-1, 0)[None]
        colours = F.grid_sample(image, places.view(1, height, width, 2), padding_mode="border", align_corners=False)
        return colours[0].movedim(0, -1).round().byte().numpy()


PINHOLE = Lens("PINHOLE", "brown", {})


def lens_of(name: str, coefficients: Mapping[str, Any], what: str) -> Lens:
    """The lens of a model's name in COLMAP or nerfstudio, or `DataError`, beginning with ``what``."""
    model = _MODELS.get(name.upper())
    if model is None:
        known = ", ".join(sorted(_MODELS))
        raise DataError(f"{what}: expected a lens of one of {known}, found '{name}'; undistort the pictures before")
    known_here = COEFFICIENTS if model == "brown" else ("k1", "k2", "k3", "k4")
    for key in coefficients.keys() - set(known_here):
        if coefficients[key]:
            raise DataError(f"{what}: expected {', '.join(known_here)} for the lens '{name}', found '{key}'")
    return Lens(name, model, {key: float(value) for key, value in coefficients.items()})


def check_pinhole(lens: Lens, what: str, *, undistort: bool) -> None:
    """`DataError`, beginning with ``what``, if the lens bends lines and nobody asked for that to be undone."""
    if lens.bends and not undistort:
        given = ", ".join(f"{key} {value:g}" for key, value in lens.coefficients.items() if value) or "a fisheye"
        raise DataError(
            f"{what}: expected pictures of a pinhole, found the lens '{lens.name}' ({given}); "
            "give 'undistort' to have it undone"
        )
