"""Where cameras stand when somebody asks for a view: the canonical one, a circle, or poses in a file."""

import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from inrkit import DataError, UsageError, did_you_mean, parse_size
from inrkit_nerf.cameras import Cameras, check_rigid, orbit, pinhole
from inrkit_nerf.options import NerfOptions

_KNOWN = {"size", "orbit", "elevation", "azimuth", "pose"}
_MOST = 10_000


def canonical(options: NerfOptions, size: tuple[int, int]) -> Cameras:
    """(1, 1) the camera that generated objects are seen by, and pictures without a pose are taken to come from."""
    return _circle(1, options, size, options.elevation, options.azimuth)


def cameras_of(request: Mapping[str, str], options: NerfOptions, size: tuple[int, int]) -> Cameras:
    """(1, V) the cameras meant by {"orbit": "60", "elevation": "10", "size": "256x256"} or {"pose": "camera.json"}."""
    for key in sorted(set(request) - _KNOWN):
        raise UsageError(
            f"an object is rendered at {', '.join(sorted(_KNOWN))}; it has no '{key}'.{did_you_mean(key, _KNOWN)}"
        )
    if "size" in request:
        height, width = parse_size(request["size"], 2)
        size = (height, width)
    if "pose" in request:
        return _posed(Path(request["pose"]), options, size)
    count = _number(request, "orbit", 1)
    if count != int(count) or not 1 <= count <= _MOST:
        raise UsageError(f"'orbit' is a number of views, from 1 to {_MOST} (got {request['orbit']})")
    elevation, azimuth = _number(request, "elevation", options.elevation), _number(request, "azimuth", options.azimuth)
    return _circle(int(count), options, size, elevation, azimuth)


def _circle(count: int, options: NerfOptions, size: tuple[int, int], elevation: float, azimuth: float) -> Cameras:
    assert options.radius is not None
    assert options.focal is not None
    cameras = orbit(count, options.radius, elevation, size=size, focal=options.focal, start=azimuth)
    return Cameras(cameras.pose[None], cameras.intrinsics[None], cameras.size)


def _number(request: Mapping[str, str], key: str, default: float) -> float:
    text = request.get(key)
    try:
        value = default if text is None else float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UsageError(f"'{key}' must be a number (got '{text}')")
    return value


def _posed(path: Path, options: NerfOptions, size: tuple[int, int]) -> Cameras:
    """A JSON file with one pose, 4 x 4 camera to world (OpenCV), or a list of them."""
    try:
        pose = np.asarray(json.loads(path.read_text()), dtype=np.float32)
    except OSError as error:
        raise UsageError(f"{path}: expected a JSON file with a pose, found: {error.strerror}") from error
    except ValueError as error:
        raise DataError(
            f"{path}: expected a pose as 4 x 4 numbers in JSON, or a list of them, found: {error}"
        ) from error
    poses = pose[None] if pose.ndim == 2 else pose
    if poses.ndim != 3 or not len(poses):
        raise DataError(
            f"{path}: expected a pose as 4 x 4 numbers in JSON, or a list of them, found shape {pose.shape}"
        )
    for i, one in enumerate(poses):
        check_rigid(one, f"{path}: pose {i}")
    assert options.focal is not None
    intrinsics = pinhole(size, options.focal).expand(1, len(poses), 4)
    return Cameras(torch.from_numpy(poses)[None], intrinsics, size)
