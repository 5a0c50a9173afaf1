"""The generated MLP: its matrices, its scale, what is batched."""

from typing import Any

import pytest
import torch
from torch import Tensor

from inrkit import grid_centers, make_heads
from inrkit_nerf.mlp import MLP, MLPOptions


def small(axes: int = 3, channels: int = 4, **options: Any) -> MLP:
    chosen = MLPOptions(**{"width": 32, "depth": 4, "frequencies": 5, "octaves": 4.0, **options})
    return MLP.build(chosen, axes=axes, channels=channels, size=())


def params_of(function: MLP, rows: int = 2, groups: int = 16) -> dict[str, Tensor]:
    """Params as untrained heads write them from random tokens."""
    torch.manual_seed(0)
    heads = make_heads(function.param_shapes, function.head, 24, groups=groups)
    return {name: head(torch.randn(rows, head.count, 24)) for name, head in heads.items()}


def test_by_hand() -> None:
    """Law: features, then W x + b with ReLU between; the last row of a matrix is the bias."""
    function = small()
    params = {name: torch.randn(2, *shape) / shape[0] ** 0.5 for name, shape in function.param_shapes.items()}
    coords = torch.rand(2, 7, 3) * 2 - 1
    expected = []
    for row in range(2):
        x = function.encoding(coords[row])
        for number, matrix in enumerate(value[row] for value in params.values()):
            x = (x.relu() if number else x) @ matrix[:-1] + matrix[-1]
        expected.append(x)
    assert torch.allclose(function(params, coords), torch.stack(expected), atol=1e-5)


def test_sizes_of_the_paper() -> None:
    """6 layers of 256 over 120 features: (121, 256), (257, 256) four times, (257, 4); 164 tokens in groups of 32."""
    function = MLP.build(MLPOptions(), axes=3, channels=4, size=())
    assert list(function.param_shapes.values()) == [(121, 256), *[(257, 256)] * 4, (257, 4)]
    heads = make_heads(function.param_shapes, "columns", 8, groups=32)
    assert sum(head.count for head in heads.values()) == 164
    assert sum(2 * (rows - 1) * columns for rows, columns in function.param_shapes.values()) == 587_776


@pytest.mark.parametrize("depth", [2, 6, 10])
def test_scale_is_kept_from_layer_to_layer(depth: int) -> None:
    """Law: with normalised columns times sqrt(2), outputs start at the same scale whatever the depth."""
    function = small(width=128, depth=depth, frequencies=12)
    outputs = function(params_of(function, 8), torch.rand(1, 300, 3) * 2 - 1).detach()
    assert 0.4 < float(outputs.square().mean().sqrt()) < 2


def test_rows_are_independent() -> None:
    """Law: an object's outputs do not depend on what else is in the batch, nor on who shares its coordinates."""
    function = small()
    params, coords = params_of(function, 3), torch.rand(1, 40, 3) * 2 - 1
    shared = function(params, coords)
    assert torch.allclose(shared, function(params, coords.expand(3, -1, -1)), atol=1e-6)
    for row in range(3):
        alone = function({name: value[row : row + 1] for name, value in params.items()}, coords)
        assert torch.allclose(shared[row : row + 1], alone, atol=1e-5)


def test_gradients_reach_every_param() -> None:
    """Law: the derivative in any direction of the params is what finite differences say."""
    function = small(width=16, depth=3)
    params = {name: value.detach().requires_grad_() for name, value in params_of(function).items()}
    coords, weight = torch.rand(2, 20, 3), torch.randn(2, 20, 4)

    def total(step: float, direction: dict[str, Tensor]) -> Tensor:
        moved = {name: value + step * direction[name] for name, value in params.items()}
        return (function(moved, coords) * weight).sum().double()

    total(0.0, {name: torch.zeros_like(value) for name, value in params.items()}).backward()
    for name in params:
        direction = {other: torch.randn_like(value) * (other == name) for other, value in params.items()}
        with torch.no_grad():
            slope = (total(1e-3, direction) - total(-1e-3, direction)) / 2e-3
        exact = (params[name].grad * direction[name]).sum()
        assert float(slope) == pytest.approx(float(exact), rel=0.05, abs=0.2)


def test_images_too() -> None:
    """Two axes and three channels are an image."""
    function = small(2, 3)
    assert function(params_of(function), grid_centers((5, 6))[None]).shape == (2, 30, 3)


def test_spread_out_regions_show_no_detail() -> None:
    """Law: with mip, a point is a region without variance; wide regions look the same everywhere."""
    plain, mip = small(), small(mip=True)
    params, coords = params_of(plain), torch.rand(1, 100, 3) * 2 - 1
    point = mip(params, torch.cat([coords, torch.zeros_like(coords)], -1))
    wide = mip(params, torch.cat([coords, torch.full_like(coords, 40.0)], -1))
    assert torch.allclose(point, plain(params, coords), atol=1e-5)
    assert wide.std(1).max() < 1e-3 < point.std(1).max()


def test_bf16_answers_resemble_fp32() -> None:
    """Law: under autocast the matrix products run in bf16 and the outputs stay close."""
    function = small()
    params, coords = params_of(function), torch.rand(1, 50, 3)
    exact = function(params, coords)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = function(params, coords).float()
    assert 0 < (rough - exact).abs().max() < 0.1
