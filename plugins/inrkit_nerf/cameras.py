"""Pinhole cameras: where they stand, which way they look, and the rays through their pixels.

One convention throughout, OpenCV's, with z up in the world. A pose maps camera to world coordinates; a camera's axes
are x right, y down, z forward. Pixel positions are (x, y), x to the right and y downwards, with the image's upper left
corner at (0, 0) and the centre of its first pixel at (0.5, 0.5). A point (X, Y, Z) of camera space is seen at

    x = fx X / Z + cx,    y = fy Y / Z + cy

Other conventions are converted where files are imported (`to_opencv`).
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, final

import attrs
import numpy as np
import torch
from torch import Tensor

from inrkit import DataError, InrkitError, UsageError, full_precision

SRN_FOCAL = 131.25 / 128
"""Focal length of SRN's renderings, in image widths."""

# The camera's axes of each convention in those of OpenCV: signs of x, y, z.
CONVENTIONS: Mapping[str, tuple[int, int, int]] = {
    "opencv": (1, 1, 1),
    "srn": (1, 1, 1),  # SRN's pose files are OpenCV's
    "opengl": (1, -1, -1),  # x right, y up, z backward
    "nerf-synthetic": (1, -1, -1),  # as OpenGL, and nerfstudio's
}


@final
@attrs.frozen(eq=False)
class Cameras:
    """Any number of cameras with images of one size.

    Args:
        pose: (..., 4, 4) camera to world, rigid.
        intrinsics: (..., 4): fx, fy, cx, cy in pixels.
        size: (H, W) of the images.
    """

    pose: Tensor
    intrinsics: Tensor
    size: tuple[int, int]

    def __attrs_post_init__(self) -> None:
        if self.pose.shape[-2:] != (4, 4) or self.intrinsics.shape != (*self.pose.shape[:-2], 4):
            raise UsageError(
                "'pose' must be (..., 4, 4) and 'intrinsics' (..., 4), alike in front "
                f"(got {tuple(self.pose.shape)} and {tuple(self.intrinsics.shape)})"
            )

    @property
    def shape(self) -> torch.Size:
        """The leading axes, such as (B, V)."""
        return self.pose.shape[:-2]

    @property
    def position(self) -> Tensor:
        """(..., 3) in the world."""
        return self.pose[..., :3, 3]

    def map(self, change: Callable[[Tensor], Tensor]) -> "Cameras":
        """Poses and intrinsics changed alike, in their leading axes or their place."""
        return Cameras(change(self.pose), change(self.intrinsics), self.size)

    def __getitem__(self, index: Any) -> "Cameras":
        """Cameras by their leading axes, as a tensor of their shape would be indexed."""
        return self.map(lambda x: x[index])

    def to(self, device: torch.device | str) -> "Cameras":
        return self.map(lambda x: x.to(device))

    def resized(self, size: tuple[int, int]) -> "Cameras":
        """The same views with another number of pixels."""
        return Cameras(self.pose, scale_intrinsics(self.intrinsics, self.size, size), (size[0], size[1]))


def scale_intrinsics(intrinsics: Tensor, old: tuple[int, int], new: tuple[int, int]) -> Tensor:
    """(..., 4) for images (H, W) -> the same for those images resized as a whole."""
    x, y = new[1] / old[1], new[0] / old[0]
    return intrinsics * intrinsics.new_tensor((x, y, x, y))


# ------------------------------------------------------------------------------------------ rays and projection


def pixel_positions(size: tuple[int, int], index: Tensor | None = None) -> Tensor:
    """Positions (..., 2) of the centres of pixels (...), numbered row by row; by default of all, (H * W, 2)."""
    if index is None:
        index = torch.arange(size[0] * size[1])
    return torch.stack((index % size[1], index.div(size[1], rounding_mode="floor")), -1).float() + 0.5


def directions_at(cameras: Cameras, positions: Tensor) -> Tensor:
    """Directions (..., P, 3) in camera space, with z = 1, through pixel positions (..., P, 2)."""
    focal, center = cameras.intrinsics[..., None, :2], cameras.intrinsics[..., None, 2:]
    xy = (positions.to(focal) - center) / focal
    return torch.cat((xy, torch.ones_like(xy[..., :1])), -1)


def rays_at(cameras: Cameras, positions: Tensor) -> tuple[Tensor, Tensor]:
    """Origins and directions (..., P, 3) of the rays through pixel positions (..., P, 2), see `pixel_positions`.

    Directions have length 1, so that a number on a ray is the distance from the camera, in every direction.
    """
    toward = torch.nn.functional.normalize(directions_at(cameras, positions), dim=-1)
    with full_precision(toward.device):  # in bf16 they would miss by a third of a pixel at 128
        directions = toward @ cameras.pose[..., :3, :3].mT
    return cameras.position[..., None, :].expand_as(directions), directions


def rays(cameras: Cameras) -> tuple[Tensor, Tensor]:
    """Origins and directions (..., H, W, 3), of length 1, of the rays through the centres of all pixels."""
    origins, directions = rays_at(cameras, pixel_positions(cameras.size).to(cameras.pose.device))
    return origins.unflatten(-2, cameras.size), directions.unflatten(-2, cameras.size)


def project(cameras: Cameras, points: Tensor) -> tuple[Tensor, Tensor]:
    """World points (..., P, 3) -> pixel positions (..., P, 2) and depths z (..., P); behind the camera z <= 0."""
    with full_precision(points.device):  # as in `rays_at`
        local = (points - cameras.position[..., None, :]) @ cameras.pose[..., :3, :3]
    depth = local[..., 2]
    focal, center = cameras.intrinsics[..., None, :2], cameras.intrinsics[..., None, 2:]
    return local[..., :2] / depth[..., None] * focal + center, depth


# ------------------------------------------------------------------------------------------ places to stand


def pinhole(size: tuple[int, int], focal: float = SRN_FOCAL) -> Tensor:
    """Intrinsics (4,) of a camera with square pixels whose focal length is ``focal`` image widths."""
    pixels = focal * size[1]
    return torch.tensor((pixels, pixels, size[1] / 2, size[0] / 2))


def look_at(eye: Tensor, target: Tensor | None = None) -> Tensor:
    """Poses (..., 4, 4) of upright cameras at ``eye`` (..., 3) that look at ``target`` (..., 3), or at the origin."""
    forward = torch.nn.functional.normalize((0 if target is None else target) - eye, dim=-1)
    up = torch.zeros_like(forward)
    # looking straight up or down, y is above
    steep = forward[..., 2].abs() > 1 - 1e-6
    up[..., 2], up[..., 1] = (~steep).to(up), steep.to(up)
    right = torch.nn.functional.normalize(torch.linalg.cross(forward, up, dim=-1), dim=-1)
    down = torch.linalg.cross(forward, right, dim=-1)
    top = torch.stack((right, down, forward, eye), -1)
    bottom = top.new_tensor((0.0, 0.0, 0.0, 1.0)).expand(*top.shape[:-2], 1, 4)
    return torch.cat((top, bottom), -2)


def on_sphere(azimuth: Tensor, height: Tensor, radius: float) -> Tensor:
    """Positions (..., 3) on a sphere, at an angle in radians around z and at a height in radii."""
    flat = (1 - height * height).clamp(min=0).sqrt()
    return radius * torch.stack((flat * azimuth.cos(), flat * azimuth.sin(), height.expand_as(flat)), -1)


def orbit(
    n: int, radius: float, elevation: float, *, size: tuple[int, int], focal: float = SRN_FOCAL, start: float = 0.0
) -> Cameras:
    """``n`` cameras around the origin, anticlockwise from the angle ``start``; angles are in degrees."""
    azimuth = torch.arange(n) / max(n, 1) * 2 * math.pi + math.radians(start)
    height = torch.full_like(azimuth, math.sin(math.radians(elevation)))
    return inward(on_sphere(azimuth, height, radius), size, focal)


def spiral(n: int, radius: float, *, size: tuple[int, int], focal: float = SRN_FOCAL, turns: float = 5.0) -> Cameras:
    """``n`` cameras that wind down from above to just over the ground, as SRN's test views do."""
    height = 0.98 - 0.93 * (torch.arange(n) + 0.5) / max(n, 1)
    return inward(on_sphere(2 * math.pi * turns * height, height, radius), size, focal)


def inward(eye: Tensor, size: tuple[int, int], focal: float = SRN_FOCAL) -> Cameras:
    """Cameras at ``eye`` (..., 3) that look at the origin."""
    return Cameras(look_at(eye), pinhole(size, focal).to(eye).expand(*eye.shape[:-1], 4), (size[0], size[1]))


# ------------------------------------------------------------------------------------------ other conventions


def to_opencv(pose: Tensor, convention: str) -> Tensor:
    """Poses (..., 4, 4), camera to world, of a convention in the table above, in OpenCV's."""
    if convention not in CONVENTIONS:
        raise UsageError(f"'convention' must be one of {', '.join(CONVENTIONS)} (got '{convention}')")
    return pose * pose.new_tensor((*CONVENTIONS[convention], 1))


def focal_of(angle: float, size: float) -> float:
    """Focal length in pixels for a field of view in radians over so many pixels."""
    return size / (2 * math.tan(angle / 2))


def from_world(quaternion: Tensor, translation: Tensor) -> Tensor:
    """Pose (4, 4), camera to world, of COLMAP's world to camera: a quaternion (4,), w first, and a translation (3,)."""
    w, v = (quaternion / quaternion.norm()).split((1, 3))
    cross = torch.linalg.cross(torch.eye(3).to(v), v.expand(3, 3), dim=1)  # its rows: e_i x v
    rotation = 2 * torch.outer(v, v) + (w * w - v @ v) * torch.eye(3).to(v) + 2 * w * cross
    pose = torch.eye(4).to(v)
    pose[:3, :3], pose[:3, 3] = rotation.mT, -rotation.mT @ translation
    return pose


# ------------------------------------------------------------------------------------------ what is not a camera


def check_rigid(pose: np.ndarray, what: str, tolerance: float = 1e-3) -> None:
    """`DataError`, beginning with ``what``, unless (4, 4) is a rotation and a translation."""
    if pose.shape != (4, 4) or not np.isfinite(pose).all():
        raise DataError(f"{what}: expected a pose of 4 x 4 finite numbers, found {_numbers(pose)}")
    if np.abs(pose[3] - (0, 0, 0, 1)).max() > tolerance:
        raise DataError(f"{what}: expected a pose with the last row 0 0 0 1, found {_numbers(pose[3])}")
    rotation = pose[:3, :3].astype(np.float64)
    off, determinant = np.abs(rotation.T @ rotation - np.eye(3)).max(), np.linalg.det(rotation)
    if off > tolerance:
        raise DataError(
            f"{what}: expected a rigid pose, whose axes are orthogonal and of length 1, found a deviation of "
            f"{off:.2g} (determinant {determinant:.3g})"
        )
    if determinant < 0:
        raise DataError(f"{what}: expected a rigid pose, found a reflection (determinant -1); is one axis flipped?")


def check_intrinsics(intrinsics: np.ndarray, what: str) -> None:
    """`DataError`, beginning with ``what``, unless (4,) are finite fx, fy, cx, cy with positive focal lengths."""
    if intrinsics.shape != (4,) or not np.isfinite(intrinsics).all() or intrinsics[:2].min() <= 0:
        raise DataError(
            f"{what}: expected fx, fy, cx, cy with positive focal lengths, in pixels, found {_numbers(intrinsics)}"
        )


def check_range(near: float, far: float | None, what: str = "", error: type[InrkitError] = UsageError) -> None:
    """An error, beginning with ``what``, unless 0 <= near < far; a far plane there need not be."""
    if not (math.isfinite(near) and near >= 0 and (far is None or (math.isfinite(far) and near < far))):
        start, end = f"{what}: " if what else "", "" if far is None else f" and far {far:g}"
        raise error(f"{start}expected 'near' from 0 and below 'far', found near {near:g}{end}")


def _numbers(array: np.ndarray) -> str:
    if array.size <= 8:
        return " ".join(f"{number:g}" for number in array.reshape(-1))
    return f"shape {'x'.join(map(str, array.shape))}{'' if np.isfinite(array).all() else ' with NaN or infinity'}"
