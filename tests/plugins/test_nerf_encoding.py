"""What a function sees of a point, and of a piece of a cone."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from inrkit_nerf.encoding import PositionalEncoding, cone_variance


def moments(start: float, stop: float, spread: float, slices: int = 20_000) -> tuple[float, float, float]:
    """Mean distance, its variance, and the variance across, of points spread evenly in a piece of a cone."""
    t = start + (stop - start) * (torch.arange(slices, dtype=torch.float64) + 0.5) / slices
    weight = t**2 / (t**2).sum()  # the cone's cross-section
    mean = float((weight * t).sum())
    # a disc of radius r has the variance r² / 4 in each direction
    return mean, float((weight * (t - mean) ** 2).sum()), float((weight * (spread * t) ** 2 / 4).sum())


@pytest.mark.parametrize(("start", "stop", "spread"), [(0.8, 1.0, 0.01), (0.1, 1.5, 0.3), (0.0, 1.0, 0.05)])
def test_piece_of_a_cone_by_summing_it_up(start: float, stop: float, spread: float) -> None:
    """Law: mean and variance are those of points spread evenly in the piece, along the ray and across it."""
    directions = torch.eye(3, dtype=torch.float64)[:1]
    starts, stops = (torch.full((1, 1), x, dtype=torch.float64) for x in (start, stop))
    middle, variance = cone_variance(directions, starts, stops, torch.full((1,), spread, dtype=torch.float64))
    mean, along, across = moments(start, stop, spread)
    assert middle.item() == pytest.approx(mean, rel=1e-6)
    assert variance[0, 0].tolist() == pytest.approx([along, across, across], rel=1e-6)


def test_variance_turns_with_the_ray() -> None:
    """Law: the sum over the axes does not depend on the direction; opposite directions have the same variance."""
    directions = torch.nn.functional.normalize(torch.randn(50, 3), dim=-1)
    starts, stops, spread = torch.full((50, 1), 0.5), torch.full((50, 1), 0.9), torch.full((50,), 0.1)
    _, variance = cone_variance(directions, starts, stops, spread)
    _, opposite = cone_variance(-directions, starts, stops, spread)
    total = variance.sum(-1)
    assert torch.allclose(total, total[0].expand_as(total), rtol=1e-4)
    assert torch.equal(variance, opposite)
    assert bool((variance > 0).all())


def normal_mean(wave: Tensor, mean: Tensor, variance: Tensor, count: int = 4001) -> Tensor:
    """E[(cos, sin)(w x)] for x ~ N(mean, variance), by summing over ± 8 standard deviations, (P, 2)."""
    z = torch.linspace(-8, 8, count, dtype=torch.float64)
    weight = torch.exp(-(z**2) / 2)
    angles = wave * (mean[:, None] + variance[:, None].sqrt() * z)
    weight = weight / weight.sum()
    return torch.stack([(angles.cos() * weight).sum(1), (angles.sin() * weight).sum(1)], -1)


def test_features_of_a_spread_are_means_of_features() -> None:
    """Law: each feature of a normal distribution is the mean of that feature over it, in closed form."""
    encoding = PositionalEncoding(1, 5, 4.0)
    mean, variance = torch.rand(20, dtype=torch.float64) * 2 - 1, torch.rand(20, dtype=torch.float64) * 0.1
    features = encoding(mean[:, None], variance[:, None])
    for number, wave in enumerate(encoding.frequencies.double()):
        expected = normal_mean(wave, mean, variance)
        assert torch.allclose(features[:, number].double(), expected[:, 0], atol=1e-5)
        assert torch.allclose(features[:, 5 + number].double(), expected[:, 1], atol=1e-5)


def test_points_have_plain_features() -> None:
    """Law: without variance, and with variance 0, features are cos and sin of w x, w from 1 to 2^octaves."""
    encoding = PositionalEncoding(3, 4, 6.0)
    x = torch.rand(7, 3) * 2 - 1
    angles = (x[..., None] * torch.tensor([1.0, 4.0, 16.0, 64.0])).flatten(-2)
    assert torch.allclose(encoding(x), torch.cat([angles.cos(), angles.sin()], -1), atol=1e-4)
    assert torch.equal(encoding(x), encoding(x, torch.zeros(7, 3)))
    assert encoding.dim == 24


def test_what_a_spread_averages_out_is_not_shown() -> None:
    """Law: the wider, the smaller every feature; the finer ones go first."""
    encoding = PositionalEncoding(1, 3, 4.0)
    sizes = [encoding(torch.zeros(1, 1), torch.full((1, 1), v))[0, :3] for v in (0.0, 0.01, 0.1, 1.0)]
    for narrow, wide in itertools.pairwise(sizes):
        assert bool((wide < narrow).all())
        assert bool((wide / narrow).diff().le(0).all())
    assert sizes[-1][0].item() == pytest.approx(math.exp(-0.5), rel=1e-4)
