"""KID, the sliced Wasserstein distance and the comparison of sets: formulas, invariances, and a floor and a ceiling."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from inrkit.errors import DataError
from inrkit.metrics.feature import RandomConvFeatures, Standardised
from inrkit.metrics.metric import compare_sets, kernel_distance, sliced_wasserstein


def rotation(dim: int) -> Tensor:
    return torch.linalg.qr(torch.randn(dim, dim, dtype=torch.float64)).Q


# ---- KID


def test_kernel_distance_is_its_double_sum() -> None:
    """Means of (x·y/D + 1)³ over different rows, one pair at a time."""
    x, y = torch.randn(4, 3, dtype=torch.float64), torch.randn(6, 3, dtype=torch.float64) + 0.5

    def k(u: Tensor, v: Tensor) -> float:
        return float((u @ v / 3 + 1) ** 3)

    same_x = sum(k(u, v) for u, v in itertools.permutations(x, 2)) / 12
    same_y = sum(k(u, v) for u, v in itertools.permutations(y, 2)) / 30
    across = sum(k(u, v) for u, v in itertools.product(x, y)) / 24
    assert kernel_distance(x, y) == pytest.approx(same_x + same_y - 2 * across)


def test_kernel_distance_of_two_points_each() -> None:
    """x = {1, 1}, y = {0, 0} in one dimension: 8 + 1 - 2 = 7."""
    assert kernel_distance(torch.ones(2, 1), torch.zeros(2, 1)) == pytest.approx(7)


def test_kernel_distance_in_one_dimension_compares_three_moments() -> None:
    """MMD² → 3 (m1 - n1)² + 3 (m2 - n2)² + (m3 - n3)² for moments m, n; here N(1, 1) and N(0, 1)."""
    x, y = torch.randn(4000, 1, dtype=torch.float64) + 1, torch.randn(4000, 1, dtype=torch.float64)
    assert kernel_distance(x, y) == pytest.approx(3 * 1 + 3 * 1 + 16, rel=0.15)


def test_kernel_distance_is_unbiased() -> None:
    """For equal distributions it is 0 on average, and of either sign, however few the rows."""
    found = torch.tensor([kernel_distance(*torch.randn(2, 12, 4)) for _ in range(400)])
    assert abs(found.mean().item()) < 4 * found.std().item() / 20
    assert (found < 0).any()
    assert (found > 0).any()


def test_kernel_distance_is_symmetric_and_rotation_free() -> None:
    """The kernel sees only inner products."""
    x, y, q = *torch.randn(2, 20, 5, dtype=torch.float64), rotation(5)
    assert kernel_distance(x, y) == pytest.approx(kernel_distance(y, x))
    assert kernel_distance(x @ q, y @ q) == pytest.approx(kernel_distance(x, y))


# ---- sliced Wasserstein


def sliced(a: Tensor, b: Tensor, directions: int = 256) -> float:
    return sliced_wasserstein(a, b, generator=torch.Generator().manual_seed(0), directions=directions)


def test_sliced_wasserstein_in_one_dimension_pairs_sorted_values() -> None:
    """The root mean squared difference of the sorted values."""
    a, b = torch.randn(2, 50, 1, dtype=torch.float64)
    expected = (a.sort(dim=0).values - b.sort(dim=0).values).square().mean().sqrt()
    assert sliced(a, b, 1) == pytest.approx(expected.item())


def test_sliced_wasserstein_of_unequal_sets_is_that_of_repeated_ones() -> None:
    """Repeating every row is the same distribution: 4 against 6 rows equals 12 against 12."""
    a, b = torch.randn(4, 3), torch.randn(6, 3)
    repeated = sliced(a.repeat(3, 1), b.repeat(2, 1))
    assert sliced(a, b) == pytest.approx(repeated)
    assert sliced(a, a.repeat(3, 1)) == pytest.approx(0, abs=1e-12)


def test_sliced_wasserstein_of_a_shift() -> None:
    """A shift by v moves every projection by v·θ: |v| / sqrt(D) in the mean square."""
    a, v = torch.randn(30, 4, dtype=torch.float64), torch.tensor([3.0, 0.0, 4.0, 0.0])
    assert sliced(a, a + v, 4096) == pytest.approx(5 / 2, rel=0.05)


def test_sliced_wasserstein_scales_with_the_unit_and_repeats() -> None:
    """It is in the unit of the values, symmetric, and equal for equal generators."""
    a, b = torch.randn(2, 20, 3, 2)
    assert sliced(3 * a, 3 * b) == pytest.approx(3 * sliced(a, b))
    assert sliced(a, b) == pytest.approx(sliced(b, a))
    assert sliced(a, b) == sliced(a, b)


def test_sliced_wasserstein_leaves_the_global_random_state_alone() -> None:
    """The directions come from the generator that is passed."""
    before = torch.get_rng_state()
    sliced(torch.zeros(2, 3), torch.ones(2, 3))
    assert torch.equal(before, torch.get_rng_state())


# ---- all of them


def waves(count: int, seed: int) -> Tensor:
    """Smooth random signals (count, 2, 16, 16) in [-1, 1]."""
    generator = torch.Generator().manual_seed(seed)
    phase, pitch = torch.rand(2, count, 2, 1, 1, generator=generator)
    y, x = torch.linspace(0, 1, 16)[:, None], torch.linspace(0, 1, 16)
    return torch.sin(2 * torch.pi * (phase + (0.5 + pitch) * x + (1.5 - pitch) * y))


def test_compare_sets_puts_samples_between_floor_and_noise() -> None:
    """The same distribution scores like real data, a disturbed one worse, noise and a collapsed set far worse."""
    real_a, real_b, same = waves(900, 0).split(300)
    features = Standardised.fit(RandomConvFeatures(2, (16, 16)), waves(300, 1))
    good = compare_sets(real_a, real_b, {"samples": same}, features)
    rough = compare_sets(real_a, real_b, {"samples": same + 0.3 * torch.randn_like(same)}, features)
    copied = compare_sets(real_a, real_b, {"samples": same[:1].expand(300, -1, -1, -1)}, features)
    assert set(good) == {"samples", "real", "noise"}
    assert good["real"] == rough["real"]
    assert 0.5 < good["samples"]["frechet"] / good["real"]["frechet"] < 2
    assert good["samples"]["f1"] > 0.7
    assert rough["samples"]["frechet"] > 2 * good["samples"]["frechet"]
    assert good["noise"]["frechet"] > 50 * good["real"]["frechet"]
    assert good["noise"]["f1"] < 0.1
    assert good["noise"]["kid"] > 10 * abs(good["real"]["kid"])
    assert copied["samples"]["frechet"] > 20 * good["real"]["frechet"]
    assert copied["samples"]["recall"] == 0
    assert copied["samples"]["diversity"] == pytest.approx(0, abs=1e-4)


def test_compare_sets_uses_equal_numbers_of_rows_and_is_repeatable() -> None:
    """The smallest set decides N for every row; the same seed gives the same figures."""
    values = waves(60, 0)
    features = RandomConvFeatures(2, (16, 16))
    found = compare_sets(values[:30], values[30:], {"samples": values[:12]}, features)
    assert {row["count"] for row in found.values()} == {12}
    assert found == compare_sets(values[:12], values[30:42], {"samples": values[:12]}, features)
    assert found["samples"]["frechet"] == pytest.approx(0, abs=1e-6)
    assert found["samples"]["f1"] == 1
    assert found["samples"]["sliced_wasserstein"] == 0


def test_compare_sets_refuses_samples_that_are_not_finite() -> None:
    """A diverged generator is told apart from a poor one."""
    values = waves(20, 0)
    with pytest.raises(DataError, match="20 of 20 rows"):
        compare_sets(values, values, {"samples": values * math.nan}, RandomConvFeatures(2, (16, 16)))
