"""Fewer triangles: the same solid, still closed."""

import math

import pytest
import torch

from inrkit import Mesh, Surface, UsageError, mesh_of
from inrkit.core.decimate import decimated

BOX = (-1.0, -1.0, -1.0), (1.0, 1.0, 1.0)


def volume(mesh: Mesh) -> float:
    """By the divergence theorem: of a closed mesh."""
    a, b, c = mesh.vertices.double()[mesh.faces].unbind(1)
    return float((torch.linalg.cross(a, b) * c).sum() / 6)


def edges(mesh: Mesh) -> torch.Tensor:
    """How often each way along an edge is gone, less how often the way back is."""
    ways = torch.cat([mesh.faces[:, [i, (i + 1) % 3]] for i in range(3)])
    count = len(mesh.vertices)
    return torch.bincount(ways[:, 0] * count + ways[:, 1], minlength=count * count).view(count, count)


def test_a_ball_stays_a_ball() -> None:
    """At most as many triangles as asked for and not far fewer; closed, of the same volume, as round."""
    ball = mesh_of(
        Surface(lambda points: 0.6 - points.norm(dim=1), 0.0, *BOX, colour=lambda points: points / 2 + 0.5), 40
    )
    small = decimated(ball, 800)
    assert 400 < len(small.faces) <= 800 < len(ball.faces)
    assert torch.equal(edges(small), edges(small).T)
    assert volume(small) == pytest.approx(4 / 3 * math.pi * 0.6**3, rel=0.03)
    torch.testing.assert_close(small.vertices.norm(dim=1), torch.full((len(small.vertices),), 0.6), atol=0.02, rtol=0)
    torch.testing.assert_close(small.colours, small.vertices / 2 + 0.5, atol=0.1, rtol=0)


def test_corners_of_a_cube_stay_sharp() -> None:
    """Planes meet in its corners, where the mean of what is around would cut them off."""
    cube = mesh_of(Surface(lambda points: 0.52 - points.abs().amax(1), 0.0, *BOX), 40)
    small = decimated(cube, 200)
    assert len(small.faces) <= 200
    assert volume(small) == pytest.approx(1.04**3, rel=0.02)
    assert float(small.vertices.norm(dim=1).max()) == pytest.approx(0.52 * 3**0.5, rel=0.03)


def test_few_triangles_are_left_alone() -> None:
    """What is small enough is the very same mesh; fewer than a tetrahedron has are refused."""
    ball = mesh_of(Surface(lambda points: 0.6 - points.norm(dim=1), 0.0, *BOX), 8)
    assert decimated(ball, 100_000) is ball
    with pytest.raises(UsageError, match="at least 4"):
        decimated(ball, 3)
