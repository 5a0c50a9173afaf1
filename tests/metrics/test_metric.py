"""PSNR, SSIM and Fréchet against their formulas: cases worked out by hand, invariances, and an independent SSIM."""

import math

import pytest
import torch
from kornia.metrics import ssim as kornia_ssim
from torch import Tensor

from inrkit.errors import DataError, UsageError
from inrkit.metrics.metric import (
    Gaussian,
    frechet_distance,
    psnr,
    ssim,
)


def gaussian(mean: Tensor, covariance: Tensor) -> Gaussian:
    """Statistics that say exactly this mean and covariance."""
    return Gaussian(mean.double(), covariance.double())


def random_covariance(dim: int, rank: int) -> Tensor:
    factor = torch.randn(dim, rank, dtype=torch.float64)
    return factor @ factor.T


def rotation(dim: int) -> Tensor:
    return torch.linalg.qr(torch.randn(dim, dim, dtype=torch.float64)).Q


# ---- PSNR


@pytest.mark.parametrize(("offset", "peak"), [(0.1, 1.0), (0.1, 2.0), (0.5, 2.0), (3.0, 255.0)])
def test_psnr_of_a_constant_offset(offset: float, peak: float) -> None:
    """An error of d everywhere gives 20 log10(peak / d)."""
    target = torch.rand(3, 2, 5, dtype=torch.float64)
    assert psnr(target + offset, target, peak=peak).tolist() == pytest.approx([20 * math.log10(peak / offset)] * 3)


def test_psnr_of_one_wrong_value_among_many() -> None:
    """An error of the whole peak in one value of n gives 10 log10(n)."""
    target = torch.zeros(1, 4, 5, 5)
    prediction = target.clone()
    prediction[0, 2, 1, 3] = 2.0
    assert psnr(prediction, target, peak=2.0).item() == pytest.approx(20.0)


def test_psnr_is_infinite_for_equal_values() -> None:
    """No error is an infinite ratio, in that row only."""
    target = torch.rand(2, 3, 4)
    prediction = target + torch.tensor([0.0, 1.0]).reshape(2, 1, 1)
    assert psnr(prediction, target, peak=1.0).isinf().tolist() == [True, False]


def test_psnr_does_not_depend_on_the_unit() -> None:
    """Scaling the values and the peak together changes nothing; adding a constant to both neither."""
    a, b = torch.rand(2, 4, 3, 7, dtype=torch.float64)
    expected = psnr(a, b, peak=1.0)
    torch.testing.assert_close(psnr(255 * a, 255 * b, peak=255.0), expected)
    torch.testing.assert_close(psnr(a - 5, b - 5, peak=1.0), expected)


def test_psnr_of_half_precision_is_computed_exactly() -> None:
    """Values in bfloat16 are compared as the numbers they are, not rounded again."""
    target = torch.full((1, 1, 1000), 1.0, dtype=torch.bfloat16)
    assert psnr(target - 0.0078125, target, peak=1.0).item() == pytest.approx(20 * math.log10(128))


def test_psnr_loses_six_decibels_per_doubled_error() -> None:
    """Twice the error is 20 log10(2) dB less."""
    target, error = torch.randn(2, 5, 3, 4, dtype=torch.float64)
    lost = psnr(target + error, target, peak=1.0) - psnr(target + 2 * error, target, peak=1.0)
    torch.testing.assert_close(lost, torch.full_like(lost, 20 * math.log10(2)))


def test_psnr_refuses_different_shapes() -> None:
    """Broadcasting would hide a mistake."""
    with pytest.raises(UsageError, match=r"same shape .* \(2, 3, 4\) and \(2, 1, 4\)"):
        psnr(torch.zeros(2, 3, 4), torch.zeros(2, 1, 4), peak=1.0)


# ---- SSIM


@pytest.mark.parametrize("size", [(11, 11), (16, 23), (40, 32)])
@pytest.mark.parametrize("peak", [1.0, 2.0])
def test_ssim_agrees_with_kornia_for_two_axes(size: tuple[int, int], peak: float) -> None:
    """kornia's valid map, averaged per row, is the same figure."""
    target = peak * torch.rand(4, 3, *size, dtype=torch.float64)
    prediction = target + 0.1 * torch.randn_like(target)
    expected = kornia_ssim(prediction, target, 11, peak, 0.0, "valid").mean(dim=(1, 2, 3))
    torch.testing.assert_close(ssim(prediction, target, peak=peak), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [(40,), (16, 16), (12, 13, 14), (5, 9)])
def test_ssim_is_one_for_equal_values(size: tuple[int, ...]) -> None:
    """A signal is wholly similar to itself, along any number of axes and smaller than the window."""
    values = torch.randn(2, 3, *size)
    torch.testing.assert_close(ssim(values, values, peak=2.0), torch.ones(2, dtype=torch.float64))


@pytest.mark.parametrize("size", [(30,), (15, 15), (12, 12, 12)])
def test_ssim_of_two_constants_is_the_luminance_term(size: tuple[int, ...]) -> None:
    """Without variance (2ab + c1) / (a² + b² + c1) is left."""
    a, b, c1 = 0.3, 0.8, 0.01**2
    found = ssim(torch.full((1, 1, *size), a).double(), torch.full((1, 1, *size), b).double(), peak=1.0)
    assert found.item() == pytest.approx((2 * a * b + c1) / (a * a + b * b + c1), abs=1e-6)


def test_ssim_along_one_axis_is_that_of_a_signal_constant_along_the_other() -> None:
    """Repeating values along a second axis changes no moment under the window."""
    a, b = torch.rand(2, 3, 2, 25, dtype=torch.float64)
    stretched = ssim(a[..., None].expand(-1, -1, -1, 14), b[..., None].expand(-1, -1, -1, 14), peak=1.0)
    torch.testing.assert_close(ssim(a, b, peak=1.0), stretched)


def test_ssim_is_symmetric_and_free_of_the_unit() -> None:
    """Swapping the arguments, or scaling values and peak together, changes nothing."""
    a, b = torch.rand(2, 3, 2, 17, 17, dtype=torch.float64)
    torch.testing.assert_close(ssim(a, b, peak=1.0), ssim(b, a, peak=1.0))
    torch.testing.assert_close(ssim(a, b, peak=1.0), ssim(2 * a - 1, 2 * b - 1, peak=2.0, lowest=-1.0))


def test_ssim_is_negative_for_inverted_structure() -> None:
    """A signal and its negative around the same mean are anti-correlated."""
    wave = 0.5 * torch.sin(torch.arange(64.0)).reshape(1, 1, 64)
    assert ssim(0.5 + wave, 0.5 - wave, peak=1.0).item() < -0.5


def test_ssim_rows_do_not_see_each_other() -> None:
    """Many rows at once equal one at a time."""
    a, b = torch.rand(2, 70, 1, 32, 33, dtype=torch.float64)
    alone = torch.cat([ssim(x[None], y[None], peak=1.0) for x, y in zip(a, b, strict=True)])
    torch.testing.assert_close(ssim(a, b, peak=1.0), alone)


def test_ssim_refuses_what_it_cannot_measure() -> None:
    """No spatial axis and an even window are errors."""
    with pytest.raises(UsageError, match="one to three spatial axes"):
        ssim(torch.zeros(2, 3), torch.zeros(2, 3), peak=1.0)
    with pytest.raises(UsageError, match="'window' must be an odd"):
        ssim(torch.zeros(2, 3, 16), torch.zeros(2, 3, 16), peak=1.0, window=8)


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
