"""Cameras: points whose pixel is known, rays that go through their points, and conventions that agree."""

import math

import numpy as np
import pytest
import torch

from inrkit import DataError, UsageError
from inrkit_nerf.cameras import (
    Cameras,
    check_range,
    check_rigid,
    focal_of,
    from_world,
    look_at,
    orbit,
    pinhole,
    pixel_positions,
    project,
    rays,
    spiral,
    to_opencv,
)


def one(pose: torch.Tensor, size: tuple[int, int] = (48, 64), focal: float = 1.0) -> Cameras:
    return Cameras(pose, pinhole(size, focal), size)


def test_a_point_straight_ahead_is_seen_in_the_middle() -> None:
    """And one a focal length to the right at the depth of the image's width, at its right edge."""
    camera = one(torch.eye(4))
    positions, depth = project(camera, torch.tensor([[0.0, 0, 2], [1.0, 0, 2], [0, 0.75, 2], [0, 0, -1]]))
    torch.testing.assert_close(positions[:3], torch.tensor([[32.0, 24], [64.0, 24], [32.0, 48]]))
    assert depth.tolist() == [2, 2, 2, -1]


def test_an_upright_camera_sees_up_above_and_its_right_to_the_right() -> None:
    """From +x looking at the origin with z up, +y is to the right and +z above the middle."""
    camera = one(look_at(torch.tensor([2.0, 0, 0])))
    positions, _ = project(camera, torch.tensor([[0.0, 0.5, 0], [0, 0, 0.5]]))
    assert positions[0, 0] > 32
    assert positions[0, 1] == pytest.approx(24)
    assert positions[1, 1] < 24
    assert positions[1, 0] == pytest.approx(32)


def test_rays_lead_back_to_their_pixels() -> None:
    """A point on the ray through a pixel's middle is seen there, from cameras all around, above and below."""
    cameras = orbit(7, 1.3, 30, size=(6, 8))
    origins, directions = rays(cameras)
    torch.testing.assert_close(directions.norm(dim=-1), torch.ones(7, 6, 8))
    points = (origins + 1.7 * directions).flatten(1, 2)
    positions, depth = project(cameras, points)
    torch.testing.assert_close(positions, pixel_positions((6, 8)).expand(7, -1, -1), atol=1e-4, rtol=0)
    assert (depth > 0).all()


@pytest.mark.parametrize("cameras", [orbit(9, 1.2, 40, size=(4, 4)), spiral(9, 1.2, size=(4, 4))])
def test_cameras_look_at_the_origin_from_their_distance(cameras: Cameras) -> None:
    """Poses are rigid, and the origin is in the middle of every picture."""
    positions, depth = project(cameras, torch.zeros(1, 3))
    torch.testing.assert_close(positions, torch.full((9, 1, 2), 2.0), atol=1e-5, rtol=0)
    torch.testing.assert_close(depth, torch.full((9, 1), 1.2))
    for pose in cameras.pose.numpy():
        check_rigid(pose, "camera")


def test_conventions_agree_about_the_same_camera() -> None:
    """OpenGL's axes differ in the signs of y and z; SRN's are OpenCV's."""
    pose = look_at(torch.tensor([0.4, -1.1, 0.6]))
    flipped = pose @ torch.diag(torch.tensor([1.0, -1, -1, 1]))
    torch.testing.assert_close(to_opencv(flipped, "opengl"), pose)
    torch.testing.assert_close(to_opencv(pose, "srn"), pose)
    with pytest.raises(UsageError, match="'convention' must be one of"):
        to_opencv(pose, "maya")


def test_the_field_of_view_of_a_nerf_synthetic_camera_is_its_angle() -> None:
    """A point at half the angle to the right lies on the right edge."""
    angle = 0.6911112
    pose = look_at(torch.tensor([0.0, -4, 0])) @ torch.diag(torch.tensor([1.0, -1, -1, 1]))
    focal = focal_of(angle, 80)
    camera = Cameras(to_opencv(pose, "nerf-synthetic"), torch.tensor([focal, focal, 40, 40]), (80, 80))
    edge = torch.tensor([[4 * math.tan(angle / 2), 0, 0]])
    positions, _ = project(camera, edge)
    assert positions[0, 0] == pytest.approx(80, abs=1e-3)


def test_a_quaternion_and_a_translation_lead_back_from_the_camera() -> None:
    """COLMAP's world to camera, a quarter of a turn around y, of any length: the camera has x at R x + t."""
    pose = from_world(torch.tensor([2.0, 0, 2.0, 0]), torch.tensor([0.1, 0.2, 3.0]))
    check_rigid(pose.numpy(), "camera")
    seen = torch.linalg.inv(pose) @ torch.tensor([0.5, -0.3, 0.7, 1])
    torch.testing.assert_close(seen[:3], torch.tensor([0.7 + 0.1, -0.3 + 0.2, -0.5 + 3.0]))


def test_resizing_keeps_what_is_seen() -> None:
    """Pixel positions scale with the sides."""
    camera = orbit(1, 1.2, 20, size=(30, 40))
    point = torch.tensor([[0.1, 0.2, -0.1]])
    small, large = (project(c, point)[0] for c in (camera, camera.resized((60, 120))))
    torch.testing.assert_close(large, small * torch.tensor([3.0, 2.0]))


@pytest.mark.parametrize(
    ("pose", "message"),
    [
        (np.diag([2.0, 1, 1, 1]), "axes are orthogonal and of length 1"),
        (np.diag([-1.0, 1, 1, 1]), "a reflection"),
        (np.eye(4)[:3], "4 x 4"),
        (np.full((4, 4), np.nan), "finite"),
        (np.eye(4) + np.outer([0, 0, 0, 1], [1, 0, 0, 0]), "last row 0 0 0 1"),
    ],
)
def test_what_is_no_pose_is_refused(pose: np.ndarray, message: str) -> None:
    """With the object and the file, and what is wrong with it."""
    with pytest.raises(DataError, match=message) as caught:
        check_rigid(pose, "car 7: pose/000001.txt")
    assert str(caught.value).startswith("car 7: pose/000001.txt: ")


def test_near_must_be_below_far() -> None:
    """Distances from the camera, from 0 on."""
    check_range(0.8, 1.8)
    for near, far in ((1.0, 1.0), (2.0, 1.0), (-1.0, 1.0), (0.0, math.nan)):
        with pytest.raises(UsageError, match="'near' from 0 and below 'far'"):
            check_range(near, far)


def test_rays_are_exact_in_mixed_precision() -> None:
    """Where matrices are multiplied in bfloat16, rays still go through their pixels."""
    cameras = orbit(3, 1.3, 20.0, size=(8, 8))
    exact = rays(cameras)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = rays(cameras)
    assert torch.equal(mixed[1], exact[1])
