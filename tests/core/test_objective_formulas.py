"""Distances and weightings of the objectives, against their formulas and the numbers that follow from p(t)."""

import itertools
import math

import pytest
import torch

from inrkit import LiteralReadout, SigmoidPairing
from inrkit.core.objective.distance import DISTANCES, distance_of, l2_norm, pseudo_huber, squared
from inrkit.core.objective.weighting import WEIGHTINGS

# ------------------------------------------------------------------------------------------------- distances


def test_distances_by_hand() -> None:
    """Squared, its root, and sqrt(. + c²) - c, each summed over all values of a row."""
    x, y = torch.tensor([[[3.0, 0.0], [0.0, 4.0]], [[0.0, 0.0], [0.0, 0.0]]]), torch.zeros(2, 2, 2)
    assert squared(x, y).tolist() == [25, 0]
    assert l2_norm(x, y).tolist() == pytest.approx([5, 1e-6])
    assert pseudo_huber(x, y, 12.0).tolist() == pytest.approx([13 - 12, 0])


@pytest.mark.parametrize(("shape", "c"), [((3, 32, 32), 0.0299), ((3, 64, 64), 0.0599)])
def test_pseudo_huber_constant(shape: tuple[int, ...], c: float) -> None:
    """c = .00054 sqrt(d): .0299 for 32 x 32 x 3 and .0599 for 64 x 64 x 3 (iCT)."""
    assert 0.00054 * math.sqrt(math.prod(shape)) == pytest.approx(c, abs=5e-5)
    x, y = 1e-3 * torch.randn(2, *shape), torch.zeros(2, *shape)
    exact = 0.00054 * math.sqrt(math.prod(shape))
    assert torch.allclose(pseudo_huber(x, y), pseudo_huber(x, y, exact))


def test_pseudo_huber_limits() -> None:
    """Near zero it is the square over 2 c; far away the norm less c."""
    far, near, zero = torch.full((1, 100), 50.0), torch.full((1, 100), 1e-4), torch.zeros(1, 100)
    assert float(pseudo_huber(far, zero, 0.03)) == pytest.approx(float(l2_norm(far, zero)) - 0.03, rel=1e-6)
    assert float(pseudo_huber(near, zero, 0.5)) == pytest.approx(float(squared(near, zero)) / 1.0, rel=0.1)


@pytest.mark.parametrize("name", DISTANCES)
def test_distance_laws(name: str) -> None:
    """Law: symmetric, never negative, about 0 between equals, and each row on its own."""
    distance = DISTANCES[name]
    x, y = torch.randn(4, 3, 5), torch.randn(4, 3, 5)
    assert torch.equal(distance(x, y), distance(y, x))
    assert (distance(x, y) > 0).all()
    assert distance(x, x).abs().max() <= 2e-6
    for i in range(4):
        assert torch.allclose(distance(x[i : i + 1], y[i : i + 1]), distance(x, y)[i : i + 1])


@pytest.mark.parametrize("name", DISTANCES)
def test_gradient_is_finite_between_equals(name: str) -> None:
    """Law: where student and target agree exactly, the gradient is zero, not NaN."""
    x = torch.randn(2, 5, requires_grad=True)
    DISTANCES[name](x, x.detach().clone()).sum().backward()
    assert x.grad is not None
    assert x.grad.abs().max() == 0


def test_distance_of_half_precision_is_single() -> None:
    """Distances are summed in single precision whatever the type of the values."""
    x = torch.full((1, 4096), 8.0, dtype=torch.bfloat16)
    found = squared(x, torch.zeros_like(x))
    assert found.dtype == torch.float32
    assert float(found) == 4096 * 64


# ------------------------------------------------------------------------------------------------- weightings


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("uniform", 1.0),
        ("1/t", 0.5),
        ("1/(t-r)", 1 / 1.5),
        ("t/(t-r)", 2 / 1.5),
        ("1/(t(t-r))", 1 / (2 * 1.5)),
        ("edm", (4 + 0.25) / (2 * 0.5) ** 2),
        ("snr", 0.25),
        ("snr+1", 1.25),
        ("truncated-snr", 1.0),
    ],
)
def test_weighting_at_t_2_r_half(name: str, expected: float) -> None:
    """Each weighting against its formula at t = 2, r = .5."""
    assert float(WEIGHTINGS[name](torch.tensor([2.0]), torch.tensor([0.5]), 0.5)) == pytest.approx(expected)


def mean_weight(name: str, exponent: int, below: float = math.inf) -> float:
    """E[w(t, r) 1(t < below)] under ECT's p(t), integrated over ln t."""
    z = torch.linspace(-9, 9, 200_001, dtype=torch.float64)
    t = torch.exp(2 * z - 1.1)
    r = SigmoidPairing(stages=9).r(t, (exponent + 0.5) / 9)
    density = torch.exp(-z.square() / 2) / math.sqrt(2 * math.pi)
    return float(torch.trapezoid(density * WEIGHTINGS[name](t, r, 0.5) * (t < below), z))


@pytest.mark.parametrize("name", ["1/t", "1/(t-r)"])
def test_mean_weight_of_denoising(name: str) -> None:
    """With r = 0, 1 / (t - r) is 1 / t, and its mean is exp(1.1 + 2) = 22.2."""
    assert mean_weight(name, 0) == pytest.approx(math.exp(3.1), rel=1e-4)


def test_mean_weight_of_reconstruction() -> None:
    """1 / t has the mean 438 over t < .007, which is 11.7 over the whole batch."""
    whole = mean_weight("1/t", 0, 0.007)
    assert whole == pytest.approx(11.7, abs=0.05)
    share = 0.5 * (1 + math.erf((math.log(0.007) + 1.1) / (2 * math.sqrt(2))))
    assert whole / share == pytest.approx(438, abs=2)


def test_weight_grows_with_the_curriculum() -> None:
    """1 / (t - r) grows by two orders of magnitude over the curriculum while 1 / t stays: L_diff must not have it."""
    means = [mean_weight("1/(t-r)", exponent) for exponent in range(9)]
    assert all(b > a for a, b in itertools.pairwise(means))
    assert means[8] / means[0] > 50
    assert mean_weight("1/t", 8) == pytest.approx(mean_weight("1/t", 0))
    assert mean_weight("t/(t-r)", 8) < 256


def test_a_squared_distance_can_have_the_same_gradient_in_all_stages() -> None:
    """Where the difference of f is (t - r) df/dt, 1/(t(t-r)) makes it |df/d ln t| / t² and t/(t-r) |df/d ln t|."""
    t, r = torch.full((5,), 0.7), torch.tensor([0.0, 0.3, 0.6, 0.69, 0.699])
    for name, expected in (("1/(t(t-r))", 1 / 0.7), ("t/(t-r)", 0.7), ("1/(t-r)", 1.0)):
        assert torch.allclose(WEIGHTINGS[name](t, r, 0.5) * (t - r), torch.full((5,), expected), rtol=1e-3)


@pytest.mark.parametrize("t", [0.003, 0.1, 0.821, 80.0])
def test_edm_weight_is_one_over_c_out_squared(t: float) -> None:
    """EDM's weight makes the error of the network's own output count once at every t."""
    level = torch.tensor([t])
    c_out = LiteralReadout().c_out(level)
    assert float(WEIGHTINGS["edm"](level, level, 0.5) * c_out**2) == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("sigma", [0.2, 0.5, 1.0])
@pytest.mark.parametrize("t", [0.003, 0.821, 80.0])
def test_weights_by_signal_to_noise(t: float, sigma: float) -> None:
    """Song's weights are 1/t², 1/t² + 1, 1/t² + 1/σ² (which is EDM's) and max(1/t², 1)."""
    level, snr = torch.tensor([t]), t**-2
    for name, expected in {"snr": snr, "snr+1": snr + 1, "edm": snr + sigma**-2, "truncated-snr": max(snr, 1)}.items():
        assert float(WEIGHTINGS[name](level, level, sigma)) == pytest.approx(expected, rel=1e-5), name


def test_constant_of_pseudo_huber_is_an_option() -> None:
    """Given to the distance of this name alone; None is iCT's."""
    x, y = torch.randn(3, 5), torch.randn(3, 5)
    assert torch.equal(distance_of("pseudo-huber", 0.2)(x, y), pseudo_huber(x, y, 0.2))
    assert torch.equal(distance_of("pseudo-huber")(x, y), pseudo_huber(x, y))
    assert torch.equal(distance_of("l2", 0.2)(x, y), l2_norm(x, y))
