"""Tri-planes: what is looked up where, and how regions blur it."""

import pytest
import torch
from torch import Tensor

from inrkit import UsageError, grid_centers
from inrkit_nerf.triplane import TriPlane, TriPlaneOptions, look_up


def small(axes: int = 3, **options: int) -> TriPlane:
    torch.manual_seed(0)
    return TriPlane(axes, 4, **{"grid": 4, "patch": 2, "features": 6, "width": 16, **options})


def params_of(function: TriPlane, rows: int = 2) -> dict[str, Tensor]:
    return {name: torch.randn(rows, *shape) for name, shape in function.param_shapes.items()}


def test_a_token_holds_a_patch_of_a_plane() -> None:
    """Law: token (plane, i, j) is the patch whose corner is at (i, j) times its side, and no other place."""
    function = small()
    params = params_of(function, 1)
    changed = params["planes"].clone()
    changed[:, 16 + 4 * 1 + 2] += 1  # of the second plane, the patch in row 1 and column 2
    moved = (function.planes({"planes": changed}) != function.planes(params)).any(2)[0]
    expected = torch.zeros(3, 8, 8, dtype=torch.bool)
    expected[1, 2:4, 4:6] = True
    assert torch.equal(moved, expected)


def test_plane_by_its_own_cells() -> None:
    """Law: at the centre of a cell a plane is the number that lies there."""
    plane = torch.randn(2, 3, 4, 6)
    places = grid_centers((4, 6)).expand(2, -1, -1)
    assert torch.allclose(look_up(plane, places), plane.flatten(2).transpose(1, 2), atol=1e-5)


def test_planes_see_pairs_of_axes() -> None:
    """Law: a plane of axes (i, j) is the same all along the third axis."""
    function = small()
    params = params_of(function)
    for plane, (i, j) in enumerate(function.pairs):
        tokens = torch.zeros_like(params["planes"])
        part = slice(16 * plane, 16 * (plane + 1))
        tokens[:, part] = params["planes"][:, part]
        coords = torch.rand(1, 50, 3) * 2 - 1
        moved = coords.clone()
        other = 3 - i - j
        moved[..., other] = torch.rand(50) * 2 - 1
        assert torch.allclose(function({"planes": tokens}, coords), function({"planes": tokens}, moved), atol=1e-5)


def test_small_regions_are_points() -> None:
    """Law: a region narrower than a cell is looked up like its middle."""
    function = small()
    params, coords = params_of(function), torch.rand(2, 30, 3) * 2 - 1
    regions = torch.cat([coords, torch.full_like(coords, 1e-6)], -1)
    assert torch.allclose(function(params, coords), function(params, regions), atol=1e-5)


def test_large_regions_see_the_mean() -> None:
    """Law: wider regions differ less from place to place, and wide ones see nearly the mean of a plane."""
    plane, function = torch.randn(1, 6, 8, 8), small()
    places = torch.rand(1, 400, 2) * 2 - 1
    spreads = []
    for side in (1e-3, 0.5, 1.0, 2.0):
        found = function._blurred(plane, places, torch.full((1, 400), side**2 / 12))
        spreads.append(float((found - plane.mean((2, 3))[:, None]).std()))
    assert spreads == sorted(spreads, reverse=True)
    assert spreads[-1] < 0.4 * spreads[0]


def test_regions_are_continuous_in_their_size() -> None:
    """Law: a slightly wider region sees slightly different features, at every width."""
    plane, function = torch.randn(1, 6, 8, 8), small()
    places = torch.zeros(1, 300, 2) + 0.1
    found = function._blurred(plane, places, torch.linspace(0, 2, 300)[None] ** 2 / 12)
    assert (found[:, 1:] - found[:, :-1]).abs().max() < 0.2


def test_images_too() -> None:
    """Two axes make one plane; the options give the sizes."""
    function = TriPlane.build(TriPlaneOptions(grid=2, patch=3, features=5), axes=2, channels=3, size=(6, 6))
    assert function.param_shapes == {"planes": (4, 45)}
    params = params_of(function)
    function(params, grid_centers((6, 6))[None]).sum().backward()
    assert function(params, grid_centers((6, 6))[None]).shape == (2, 36, 3)


def test_wrong_axes_are_told() -> None:
    """One line says what coordinates are expected."""
    with pytest.raises(UsageError, match="two axes"):
        TriPlane(1, 3)
    function = small()
    with pytest.raises(UsageError, match="3 or 6 columns, got 4"):
        function(params_of(function), torch.zeros(1, 5, 4))
