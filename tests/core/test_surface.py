"""Surfaces: closed, oriented, and where the values say, for solids whose surface is known."""

import math

import pytest
import torch
from torch import Tensor

from inrkit import DataError, Mesh, Surface, mesh_of
from inrkit.core.surface import isosurface

BOX = ((-0.5, -0.5, -0.5), (0.5, 0.5, 0.5))


def ball(centre: tuple[float, float, float] = (0.0, 0.0, 0.0), radius: float = 0.4) -> Surface:
    middle = torch.tensor(centre)
    return Surface(lambda points: radius - (points - middle).norm(dim=1), 0.0, *BOX, lambda points: points + 0.5)


def volume(mesh: Mesh) -> float:
    a, b, c = mesh.vertices[mesh.faces].unbind(1)
    return float((a * torch.linalg.cross(b, c)).sum() / 6)


def edges(mesh: Mesh) -> Tensor:
    return torch.cat([mesh.faces[:, pair] for pair in ([0, 1], [1, 2], [2, 0])])


@pytest.mark.parametrize("centre", [(0.0, 0.0, 0.0), (0.05, -0.08, 0.03)])
def test_the_mesh_of_a_ball_is_a_sphere(centre: tuple[float, float, float]) -> None:
    """Every vertex lies within a hundredth of a cell of it, on every axis alike, and its volume is the ball's."""
    mesh = mesh_of(ball(centre), cells=32)
    radii = (mesh.vertices - torch.tensor(centre)).norm(dim=1)
    assert float((radii - 0.4).abs().max()) < 0.05 / 32
    assert volume(mesh) == pytest.approx(4 / 3 * math.pi * 0.4**3, rel=0.01)


def test_a_mesh_is_closed_and_seen_from_outside() -> None:
    """Each edge belongs to two triangles, which run along it in opposite directions; the volume is positive."""
    mesh = mesh_of(ball(), cells=20)
    one_way = {tuple(edge) for edge in edges(mesh).tolist()}
    assert len(one_way) == 3 * len(mesh.faces)
    assert all((b, a) in one_way for a, b in one_way)
    assert volume(mesh) > 0


def test_axes_keep_their_order_and_scale() -> None:
    """An ellipsoid that is long along x and short along z has such a mesh, also in a box of unequal sides."""
    scale = torch.tensor([0.4, 0.2, 0.1])
    surface = Surface(lambda points: 1 - (points / scale).norm(dim=1), 0.0, (-0.5, -0.3, -0.2), (0.5, 0.3, 0.2))
    mesh = mesh_of(surface, cells=50)
    torch.testing.assert_close(mesh.vertices.amax(0), scale, atol=0.02, rtol=0)
    torch.testing.assert_close(mesh.vertices.amin(0), -scale, atol=0.02, rtol=0)


def test_a_solid_that_fills_its_box_is_closed_too() -> None:
    """Beyond the box all counts as outside."""
    vertices, faces = isosurface(torch.ones(3, 3, 3), 0.5)
    mesh = Mesh(vertices, faces)
    assert volume(mesh) > 8
    pairs = edges(mesh).sort(1).values.unique(dim=0, return_counts=True)[1]
    assert (pairs == 2).all()


def test_vertices_have_the_colours_of_their_places() -> None:
    """Colours are asked for where the vertices are."""
    mesh = mesh_of(ball(), cells=12)
    assert mesh.colours is not None
    torch.testing.assert_close(mesh.colours, (mesh.vertices + 0.5).clamp(0, 1))


def test_an_empty_solid_is_explained() -> None:
    """The level that was looked for, and the most there is, stand in one line."""
    with pytest.raises(
        DataError, match=r"no surface at level 2: the values inside reach 0\.[0-9]+; try a lower 'level'"
    ):
        mesh_of(Surface(lambda points: 0.4 - points.norm(dim=1), 2.0, *BOX), cells=8)
    with pytest.raises(DataError, match="not finite"):
        mesh_of(Surface(lambda points: points[:, 0] * float("nan"), 0.0, *BOX), cells=8)
