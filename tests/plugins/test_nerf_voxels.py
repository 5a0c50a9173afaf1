"""Voxels: which token holds what, and what lies between their centres."""

import pytest
import torch
from torch import Tensor

from inrkit import UsageError, make_function, make_readout
from inrkit_nerf.modality import NerfModality, NerfOptions
from inrkit_nerf.voxels import VoxelOptions, Voxels

BOX = (1.0, 0.55, 0.3)


def small(**options: object) -> Voxels:
    chosen = {"side": 8, "patch": 2, "extent": BOX, **options}
    function = make_function("voxels", chosen, axes=3, channels=4)
    assert isinstance(function, Voxels)
    return function


def params_of(function: Voxels, rows: int = 2) -> dict[str, Tensor]:
    return {name: torch.randn(rows, *shape) for name, shape in function.param_shapes.items()}


def centres(function: Voxels) -> Tensor:
    """Of all voxels, (1, x * y * z, 3)."""
    axes = [
        ((2 * torch.arange(n * function.patch) + 1) / (n * function.patch) - 1) * reach
        for n, reach in zip(function.grid, function.reach, strict=True)
    ]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(1, -1, 3)


def test_cubic_voxels_cover_the_box() -> None:
    """Law: as many blocks as the box needs along each axis, all voxels of one size."""
    function = small()
    assert function.grid == (4, 3, 2)
    assert function.reach == (1, 0.75, 0.5)
    assert function.param_shapes == {"voxels": (24, 32)}
    assert all(reach >= side for reach, side in zip(function.reach, BOX, strict=True))


def test_a_token_holds_a_block() -> None:
    """Law: token (i, j, k) is the block whose corner is at (i, j, k) times its side, and no other place."""
    function = small()
    params = params_of(function, 1)
    changed = params["voxels"].clone()
    changed[:, (2 * 3 + 1) * 2 + 1] += 1
    moved = (function.voxels({"voxels": changed}) != function.voxels(params)).any(1)[0]
    expected = torch.zeros(8, 6, 4, dtype=torch.bool)
    expected[4:6, 2:4, 2:4] = True
    assert torch.equal(moved, expected)


def test_voxels_by_their_own_centres() -> None:
    """Law: at its centre a field has a voxel's values, and halfway between two their mean."""
    function = small()
    params, places = params_of(function), centres(function)
    voxels = function.voxels(params).flatten(2).mT
    assert torch.allclose(function(params, places), voxels, atol=1e-5)
    between = (places[:, :-1] + places[:, 1:]) / 2
    near = (places[0, 1:] - places[0, :-1]).abs().sum(-1) < 0.3  # of one row
    mean = (voxels[:, :-1] + voxels[:, 1:]) / 2
    assert torch.allclose(function(params, between)[:, near], mean[:, near], atol=1e-5)


def test_a_field_is_the_function() -> None:
    """Law: bound to params, whose blocks are put together once, it answers the same."""
    function = small()
    params, coords = params_of(function), torch.rand(1, 40, 3) * 2.4 - 1.2
    assert torch.equal(function.bind(params)(coords), function(params, coords))
    with pytest.raises(UsageError, match="needs params"):
        function.bind({"voxels": torch.zeros(1, 3, 3)})


def test_what_it_cannot_be() -> None:
    with pytest.raises(UsageError, match="three axes"):
        make_function("voxels", {}, axes=2, channels=1)
    for extent in ((1.0, 0.5), (0.5, 0.5, 0.5), (1.0, 0.0, 1.0)):
        with pytest.raises(UsageError, match="extent"):
            VoxelOptions(extent=extent)


def test_the_box_of_the_objects_is_filled() -> None:
    """Law: whatever the box, the voxels reach as far as a field is asked."""
    options = NerfOptions(
        size=(16, 16), box=(0, 0, 0, 4, 2, 1), radius=6.0, focal=1.0, target=(2, 1, 0.5), function="voxels"
    )
    measure = NerfModality(options).measure(make_readout("direct"))
    assert isinstance(measure.function, Voxels)
    assert measure.function.reach == (1, 0.5, 0.25)
    assert measure.function.grid == (4, 2, 1)
