"""What options of NeRF objects, fitted to data, stand for: the views' size, the cameras, and how rays are marched."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import final

import attrs
import numpy as np
import torch
from torch import Tensor

from inrkit import DataError, UsageError, did_you_mean, parse_size
from inrkit_nerf.cameras import Cameras, check_rigid, orbit, pinhole
from inrkit_nerf.march import MarchRays
from inrkit_nerf.observation import Rays, ViewObservation
from inrkit_nerf.options import NerfOptions

REACH = 0.47
"""How far from its middle a box reaches as a model sees it, whatever it is in the world: as far as embedded cars do."""

_KNOWN = {"size", "orbit", "elevation", "azimuth", "pose"}
_MOST = 10_000


@final
@attrs.frozen
class Scene:
    """The world that objects stand in."""

    options: NerfOptions

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the views."""
        if self.options.size is None:
            raise UsageError("'options.size' is not set: fit the options to a source first, or set it")
        return self.options.size

    @property
    def measures(self) -> tuple[tuple[float, ...], float, float, tuple[float, ...]]:
        """The box, the cameras' distance, their focal length, and where they look."""
        o = self.options
        if o.box is None or o.radius is None or o.focal is None or o.target is None:
            raise UsageError("'options.box', 'radius', 'focal' and 'target' are not set: fit them to a source first")
        return o.box, o.radius, o.focal, o.target

    @property
    def middle(self) -> Tensor:
        """The box's middle in the world (3,)."""
        box = torch.tensor(self.measures[0], device="cpu")
        return (box[:3] + box[3:]) / 2

    @property
    def scale(self) -> float:
        """A length as a model sees it, over the same in the world: to a model all boxes are of one size."""
        box = torch.tensor(self.measures[0], device="cpu")  # numbers, also where weights are only counted
        return float(torch.tensor(REACH, device="cpu") / ((box[3:] - box[:3]) / 2).max())

    @property
    def extent(self) -> tuple[float, ...]:
        """How far the box reaches from its middle along each axis, over how far along its longest."""
        box = self.measures[0]
        sides = [high - low for low, high in zip(box[:3], box[3:], strict=True)]
        return tuple(side / max(sides) for side in sides)

    def inner(self, points: Tensor) -> Tensor:
        """Points (..., 3) of the world where a model has them: the box's middle is the origin."""
        middle = self.middle.tolist()  # numbers: a tensor would have to be sent to the points
        return torch.stack([points[..., i] - middle[i] for i in range(3)], -1) * self.scale

    def placed(self, cameras: Cameras) -> Cameras:
        """Cameras of the world as a model sees them."""
        pose = cameras.pose.clone()
        pose[..., :3, 3] = self.inner(cameras.position)
        return Cameras(pose, cameras.intrinsics, cameras.size)

    @property
    def camera(self) -> Cameras:
        """(1, 1) the camera that generated objects are seen by, as a model sees it."""
        return self.cameras({})

    def cameras(self, request: Mapping[str, str]) -> Cameras:
        """(1, V) `world_cameras` as a model sees them."""
        return self.placed(self.world_cameras(request))

    def world_cameras(self, request: Mapping[str, str]) -> Cameras:
        """(1, V) the cameras meant by {"orbit": "60", "elevation": "10", "size": "256x256"} or {"pose": "camera.json"}.

        By default the canonical one, which pictures without a pose are taken to come from. A file has one pose, 4 x 4
        camera to world (OpenCV), or a list of them.
        """
        for key in sorted(set(request) - _KNOWN):
            raise UsageError(
                f"an object is rendered at {', '.join(sorted(_KNOWN))}; it has no '{key}'.{did_you_mean(key, _KNOWN)}"
            )
        (_, radius, focal, target), size = self.measures, self.size
        if "size" in request:
            height, width = parse_size(request["size"], 2)
            size = (height, width)
        if "pose" in request:
            poses = _poses(Path(request["pose"]))
            return Cameras(poses, pinhole(size, focal).expand(*poses.shape[:2], 4), size)
        count = _number(request, "orbit", 1)
        if count != int(count) or not 1 <= count <= _MOST:
            raise UsageError(f"'orbit' is a number of views, from 1 to {_MOST} (got {request['orbit']})")
        elevation = _number(request, "elevation", self.options.elevation)
        azimuth = _number(request, "azimuth", self.options.azimuth)
        around = orbit(int(count), radius, elevation, size=size, focal=focal, start=azimuth)[None]
        pose = around.pose.clone()
        pose[..., :3, 3] += torch.tensor(target)
        return Cameras(pose, around.intrinsics, size)

    @property
    def background(self) -> float:
        """The background of all that is rendered, on [-1, 1]."""
        return -1.0 if self.options.background == "black" else 1.0

    @property
    def march(self) -> MarchRays:
        """How objects are rendered."""
        o, scale = self.options, self.scale
        low, high = (
            self.inner(torch.tensor(corner, device="cpu")).tolist()
            for corner in (self.measures[0][:3], self.measures[0][3:])
        )
        return MarchRays(
            low,
            high,
            near=o.near * scale,
            far=float("inf") if o.far is None else o.far * scale,
            samples=o.render_samples,
            scale=scale,
            background=self.background,
            mip=bool(o.function_options.get("mip", False)),
            occupancy=o.occupancy,
            traversal=o.traversal,
        )

    def seen(self, values: Tensor, where: Rays) -> ViewObservation:
        """Values (B, 3, V, H, W), or (B, 3, V, P), measured along rays."""
        return ViewObservation(values, where, self.options.shared_noise)


def _number(request: Mapping[str, str], key: str, default: float) -> float:
    text = request.get(key)
    try:
        value = default if text is None else float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UsageError(f"'{key}' must be a number (got '{text}')")
    return value


def _poses(path: Path) -> Tensor:
    """(1, V, 4, 4)"""
    expected = f"{path}: expected a pose as 4 x 4 numbers in JSON, or a list of them, found"
    try:
        pose = np.asarray(json.loads(path.read_text()), dtype=np.float32)
    except OSError as error:
        raise UsageError(f"{path}: expected a JSON file with a pose, found: {error.strerror}") from error
    except (ValueError, TypeError) as error:
        raise DataError(f"{expected}: {error}") from error
    poses = pose[None] if pose.ndim == 2 else pose
    if poses.ndim != 3 or not len(poses):
        raise DataError(f"{expected} shape {pose.shape}")
    for i, one in enumerate(poses):
        check_rigid(one, f"{path}: pose {i}")
    return torch.from_numpy(poses)[None]
