"""PSNR and SSIM against their formulas: cases worked out by hand, invariances, and an independent SSIM."""

import math

import pytest
import torch
from kornia.metrics import ssim as kornia_ssim

from inrkit.errors import UsageError
from inrkit.metrics.metric import psnr, ssim

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
