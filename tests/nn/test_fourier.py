"""Fourier features and grids of coordinates."""

import math

import pytest
import torch

from inrkit import FourierFeatures, UsageError, grid_centers, position_embedding
from inrkit.nn.fourier import noise_level_features


def test_frequencies_of_anr() -> None:
    """w = exp(linspace(0, ln 1024, 128)), times π; 256 features per axis make 512 for two axes (ANR)."""
    features = FourierFeatures(2, 512, 1024.0)
    w = torch.exp(torch.linspace(0, math.log(1024), 128))
    assert torch.allclose(features.frequencies, math.pi * w)
    assert features(torch.zeros(1, 7, 2)).shape == (1, 7, 512)
    assert float(features.frequencies[0]) == pytest.approx(math.pi)
    assert float(features.frequencies[-1]) == pytest.approx(1024 * math.pi, rel=1e-5)


def test_features_by_hand() -> None:
    """All cosines first, axis after axis, then all sines."""
    x, y = 0.3, -0.7
    found = FourierFeatures(2, 8, 4.0)(torch.tensor([x, y]))
    angles = [math.pi * w * c for c in (x, y) for w in (1, 4)]
    assert found.tolist() == pytest.approx([math.cos(a) for a in angles] + [math.sin(a) for a in angles], abs=1e-6)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_features_have_constant_norm(axes: int) -> None:
    """Law: cos² + sin² = 1 for each frequency, so that the squared norm is dim / 2 everywhere."""
    found = FourierFeatures(axes, 24, 16.0)(torch.rand(5, 11, axes) * 2 - 1)
    assert torch.allclose(found.square().sum(-1), torch.full((5, 11), 12.0), atol=1e-4)


def test_features_of_half_precision_coordinates() -> None:
    """Angles are computed in single precision."""
    assert FourierFeatures(1, 8, 4.0)(torch.zeros(3, 1, dtype=torch.bfloat16)).dtype == torch.float32


def test_frequencies_are_not_saved() -> None:
    """What follows from the options is no part of a checkpoint, but moves with the module."""
    features = FourierFeatures(2, 16, 8.0)
    assert features.state_dict() == {}
    assert features.to("meta").frequencies.is_meta


def test_wrong_width_is_refused() -> None:
    """The width must hold a cosine and a sine for every axis."""
    with pytest.raises(UsageError, match="multiple of 4 for 2 axes"):
        FourierFeatures(2, 10, 4.0)


@pytest.mark.parametrize("size", [(1,), (4,), (64,), (2, 3), (3, 2, 5)])
def test_centers_by_formula(size: tuple[int, ...]) -> None:
    """Centers are -1 + 2 (i + ½) / n on each axis, in row-major order, last axis fastest."""
    found = grid_centers(size)
    assert found.shape == (math.prod(size), len(size))
    for flat in range(math.prod(size)):
        rest, place = flat, []
        for n in reversed(size):
            place.append(-1 + 2 * (rest % n + 0.5) / n)
            rest //= n
        assert found[flat].tolist() == pytest.approx(list(reversed(place)), abs=1e-6)


@pytest.mark.parametrize("n", [1, 2, 7, 32, 64, 100])
def test_centers_are_symmetric_and_even(n: int) -> None:
    """Law: centers lie within (-1, 1), symmetric about 0, at steps of 2 / n."""
    centers = grid_centers((n,))[:, 0]
    assert torch.allclose(centers, -centers.flip(0), atol=1e-6)
    assert centers.abs().max() < 1
    assert torch.allclose(centers.diff(), torch.full((n - 1,), 2 / n), atol=1e-6)


def test_centers_of_a_coarse_grid_are_means_of_a_fine_one() -> None:
    """Law: the center of a cell is the mean of the centers of its parts: sizes align, corners do not."""
    fine, coarse = grid_centers((8,))[:, 0], grid_centers((4,))[:, 0]
    assert torch.allclose(fine.unflatten(0, (4, 2)).mean(1), coarse)


@pytest.mark.parametrize(("grid", "dim"), [((8,), 16), ((4, 4), 16), ((4, 4), 18), ((2, 3, 4), 16), ((1,), 4)])
def test_position_embedding(grid: tuple[int, ...], dim: int) -> None:
    """Every cell has its own embedding; what equal shares for all axes leave over is zero."""
    found = position_embedding(grid, dim)
    used = dim // (2 * len(grid)) * 2 * len(grid)
    assert found.shape == (math.prod(grid), dim)
    assert found[:, used:].abs().sum() == 0
    if math.prod(grid) > 1:
        assert torch.pdist(found).min() > 0.1


@pytest.mark.parametrize("grid", [(16,), (8, 8)])
def test_nearest_embeddings_are_of_neighbours(grid: tuple[int, ...]) -> None:
    """Law: a cell resembles itself most, and its neighbours more than cells half the grid away."""
    found, places = position_embedding(grid, 64), grid_centers(grid)
    likeness = found @ found.T
    distance = torch.cdist(places, places)
    assert torch.equal(likeness.argmax(1), torch.arange(len(places)))
    near = likeness[(distance > 0) & (distance < 2.1 / grid[0])]
    far = likeness[distance > 0.9]
    assert near.mean() > far.mean() + 3


def test_noise_level_features() -> None:
    """Cosines, then sines, of frequencies from 1 down to 1 / 10000 (DDPM); finite at every level."""
    level = torch.tensor([math.log(0.003) / 4, 0.0, math.log(80) / 4])
    found = noise_level_features(level, 256)
    w = torch.tensor([10_000.0 ** (-k / 128) for k in range(128)])
    assert torch.allclose(found[:, :128], torch.cos(level[:, None] * w), atol=1e-6)
    assert torch.allclose(found[:, 128:], torch.sin(level[:, None] * w), atol=1e-6)
    assert float(w[0]) == 1
    assert found.shape == (3, 256)
