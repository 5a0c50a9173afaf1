"""Statistics of features and the Fréchet distance: formulas, invariances, and how sure it is."""

import math

import pytest
import torch
from torch import Tensor

from inrkit.errors import DataError, UsageError
from inrkit.metrics.frechet import Gaussian, Moments, frechet_distance, frechet_error, moments_of


def gaussian(mean: Tensor, covariance: Tensor) -> Gaussian:
    """Statistics that say exactly this mean and covariance."""
    return Gaussian(mean.double(), covariance.double())


def random_covariance(dim: int, rank: int) -> Tensor:
    factor = torch.randn(dim, rank, dtype=torch.float64)
    return factor @ factor.T


def rotation(dim: int) -> Tensor:
    return torch.linalg.qr(torch.randn(dim, dim, dtype=torch.float64)).Q


# ---- statistics


def test_statistics_are_mean_and_covariance() -> None:
    """Mean and torch.cov of all rows."""
    x = torch.randn(50, 4, dtype=torch.float64) * 3 + 7
    statistics = Gaussian.fit(x)
    torch.testing.assert_close(statistics.mean, x.mean(0))
    torch.testing.assert_close(statistics.covariance, x.T.cov())


def test_statistics_refuse_what_is_not_finite() -> None:
    """One NaN would spoil every figure silently."""
    x = torch.zeros(5, 2)
    x[3, 1] = math.nan
    with pytest.raises(DataError, match="1 of 5 rows"):
        Gaussian.fit(x)


@pytest.mark.parametrize("shape", [(1, 3), (4, 2, 2)])
def test_statistics_refuse_too_few_rows_and_other_shapes(shape: tuple[int, ...]) -> None:
    """One row has no covariance."""
    with pytest.raises(UsageError, match=r"\(N, D\) with N of at least 2"):
        Gaussian.fit(torch.zeros(shape))


# ---- Fréchet distance


@pytest.mark.parametrize(("mu", "s", "nu", "r"), [(0, 1, 3, 1), (0, 1, 0, 4), (-1, 0.5, 2, 2.5), (1, 0, 4, 2)])
def test_frechet_in_one_dimension(mu: float, s: float, nu: float, r: float) -> None:
    """(μ - ν)² + (s - r)² for standard deviations s and r."""
    a = gaussian(torch.tensor([mu]), torch.tensor([[s * s]]))
    b = gaussian(torch.tensor([nu]), torch.tensor([[r * r]]))
    assert frechet_distance(a, b) == pytest.approx((mu - nu) ** 2 + (s - r) ** 2)


def test_frechet_of_commuting_covariances() -> None:
    """With common axes it is |μa - μb|² + Σ (√λ - √κ)²."""
    q, mu = rotation(6), torch.randn(6, dtype=torch.float64)
    p, k = torch.rand(2, 6, dtype=torch.float64)
    a, b = gaussian(mu, q @ p.diag() @ q.T), gaussian(0 * mu, q @ k.diag() @ q.T)
    expected = mu.square().sum() + (p.sqrt() - k.sqrt()).square().sum()
    assert frechet_distance(a, b) == pytest.approx(expected.item())


def test_frechet_of_two_by_two_covariances() -> None:
    """tr (AB)^½ = sqrt(tr AB + 2 sqrt(det AB)) for any two 2 x 2 covariances."""
    a, b = random_covariance(2, 2), random_covariance(2, 2)
    root = ((a @ b).trace() + 2 * (a.det() * b.det()).sqrt()).sqrt()
    zero = torch.zeros(2)
    expected = (a.trace() + b.trace() - 2 * root).item()
    assert frechet_distance(gaussian(zero, a), gaussian(zero, b)) == pytest.approx(expected)


def test_frechet_agrees_with_the_eigenvalues_of_the_product() -> None:
    """tr (AB)^½ is the sum of the roots of AB's eigenvalues."""
    a, b = random_covariance(7, 9), random_covariance(7, 9)
    root = torch.linalg.eigvals(a @ b).real.sqrt().sum()
    zero = torch.zeros(7)
    expected = (a.trace() + b.trace() - 2 * root).item()
    assert frechet_distance(gaussian(zero, a), gaussian(zero, b)) == pytest.approx(expected)


def test_frechet_to_a_point_is_the_mean_squared_distance() -> None:
    """A collapsed set has no covariance: |μ - p|² + tr C."""
    c, mu = random_covariance(4, 4), torch.randn(4, dtype=torch.float64)
    point = gaussian(torch.zeros(4), torch.zeros(4, 4))
    expected = (mu.square().sum() + c.trace()).item()
    assert frechet_distance(gaussian(mu, c), point) == pytest.approx(expected)


@pytest.mark.parametrize("rank", [1, 3, 8])
def test_frechet_of_a_set_with_itself_is_zero_at_any_rank(rank: int) -> None:
    """Also where the covariance is singular."""
    x = torch.randn(40, rank, dtype=torch.float64) @ torch.randn(rank, 8, dtype=torch.float64)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)


def test_frechet_of_sets_in_orthogonal_subspaces() -> None:
    """Without overlap the traces add up: nothing is saved by transport."""
    a, b = torch.zeros(2, 30, 4, dtype=torch.float64)
    a[:, :2], b[:, 2:] = torch.randn(2, 30, 2)
    expected = a.T.cov().trace() + b.T.cov().trace() + (a.mean(0) - b.mean(0)).square().sum()
    assert frechet_distance(a, b) == pytest.approx(expected.item())


def test_frechet_is_symmetric_and_keeps_under_rigid_motion() -> None:
    """Rotating and shifting both sets changes nothing."""
    a, b = torch.randn(60, 5, dtype=torch.float64), torch.randn(50, 5, dtype=torch.float64) * 2 + 1
    q, shift = rotation(5), torch.randn(5, dtype=torch.float64)
    expected = frechet_distance(a, b)
    assert frechet_distance(b, a) == pytest.approx(expected)
    assert frechet_distance(a @ q + shift, b @ q + shift) == pytest.approx(expected)


def test_frechet_scales_with_the_square_of_the_unit() -> None:
    """It is a squared distance."""
    a, b = torch.randn(40, 3, dtype=torch.float64), torch.randn(40, 3, dtype=torch.float64) + 1
    assert frechet_distance(7 * a, 7 * b) == pytest.approx(49 * frechet_distance(a, b))


def test_frechet_with_fewer_rows_than_features() -> None:
    """Rank-deficient sets give a finite figure, that of the space they span."""
    a, b = torch.randn(2, 10, 3, dtype=torch.float64)
    wide = rotation(64)[:3]
    assert frechet_distance(a @ wide, b @ wide) == pytest.approx(frechet_distance(a, b))


def test_frechet_is_biased_by_the_number_of_rows() -> None:
    """Equal distributions are further apart the fewer the rows: about a constant over N."""
    small, large = (
        sum(frechet_distance(*torch.randn(2, n, 16, dtype=torch.float64)) for _ in range(10)) for n in (100, 400)
    )
    assert 3 < small / large < 5.5


def test_frechet_refuses_different_features() -> None:
    """Features of two extractors cannot be compared."""
    with pytest.raises(UsageError, match="got 3 and 4"):
        frechet_distance(torch.randn(5, 3), torch.randn(5, 4))


def test_statistics_of_parts_are_those_of_the_whole() -> None:
    """Features are summed up as they come, in parts of any size, far from 0 too; groups join to the same."""
    x = torch.randn(103, 4, dtype=torch.float64) + 1e4
    found = Moments()
    for part in x.split([1, 40, 62]):
        found.add(part)
    for other in (found.gaussian, Moments.joined(moments_of(x)).gaussian):
        torch.testing.assert_close(other.mean, x.mean(0))
        torch.testing.assert_close(other.covariance, x.T.cov())


def test_the_standard_error_is_that_of_repeated_draws() -> None:
    """On average the jackknife tells how much the distance varies from one set of samples to the next."""
    to = Gaussian(torch.zeros(3).double(), torch.eye(3).double())
    sets = [torch.randn(200, 3, dtype=torch.float64) + 0.5 for _ in range(40)]
    spread = torch.tensor([frechet_distance(x, to) for x in sets]).std().item()
    told = torch.tensor([frechet_error(moments_of(x), to) for x in sets]).mean().item()
    assert told == pytest.approx(spread, rel=0.35)
