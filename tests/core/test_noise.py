"""Noise levels, preconditioning and read-outs, against the numbers that the papers and their code give."""

import math

import pytest
import torch
from torch import Tensor

from inrkit import (
    DirectReadout,
    Draws,
    LiteralReadout,
    LogNormal,
    Preconditioning,
    Readout,
    TwoHeadedReadout,
    UsageError,
    expand,
    make_readout,
)

SIGMA = 0.5
LEVELS = [0.0, 0.003, 0.007, 0.02, 0.0865, 0.3, 0.821, 1.0, 1.526, 5.0, 20.0, 80.0]
READOUTS = [LiteralReadout(), TwoHeadedReadout(), DirectReadout()]


def one(t: float) -> Tensor:
    return torch.tensor([t], dtype=torch.float64)


def by_name(readout: Readout) -> str:
    return readout.name


# ------------------------------------------------------------------------------------------------- levels


@pytest.mark.parametrize(
    ("level", "percent", "digits"), [(0.007, 2.67, 2), (0.003, 0.93, 2), (0.0865, 25.02, 2), (80.0, 99.69, 2)]
)
def test_share_below_level(level: float, percent: float, digits: int) -> None:
    """P(t < .007) = 2.67 %, P(t < .003) = .93 %, P(t < .0865) = 25.02 %, P(t > 80) = .31 % under ECT's p(t)."""
    assert round(100 * LogNormal().cdf(level), digits) == percent


def test_rows_of_a_batch_below_t_recon() -> None:
    """3.4 of 128 samples lie below .007."""
    assert round(128 * LogNormal().cdf(0.007), 1) == 3.4


@pytest.mark.parametrize(("share", "level"), [(0.25, 0.0864), (0.5, 0.3329), (0.0267, 0.0070)])
def test_quantile(share: float, level: float) -> None:
    """The papers' "first 25 % interval" up to .0865 is a quantile of p(t) (.0864), not a quarter of [0, 80]."""
    assert round(LogNormal().quantile(share), 4) == level


@pytest.mark.parametrize("share", [0.001, 0.1, 0.25, 0.5, 0.9, 0.999])
def test_quantile_inverts_cdf(share: float) -> None:
    """Law: cdf(quantile(q)) = q, for other parameters too."""
    for levels in (LogNormal(), LogNormal(0.5, 1.8)):
        assert levels.cdf(levels.quantile(share)) == pytest.approx(share, rel=1e-6)


def test_sampled_levels_follow_the_distribution() -> None:
    """Samples have the quantiles they should, and nothing is clamped: some lie above 80 and below .003."""
    t = LogNormal().sample(Draws(0, 50_000))
    assert t.shape == (50_000,)
    for level in (0.007, 0.0865, 0.821, 5.0):
        assert float((t < level).float().mean()) == pytest.approx(LogNormal().cdf(level), abs=0.006)
    assert t.max() > 80
    assert t.min() < 0.003


def test_narrow_distribution_is_refused() -> None:
    """A standard deviation of zero is refused by name."""
    with pytest.raises(UsageError, match="'std' must be > 0"):
        LogNormal(std=0.0)


# ------------------------------------------------------------------------------------------------- preconditioning


@pytest.mark.parametrize("t", LEVELS)
def test_c_in_gives_unit_variance(t: float) -> None:
    """c_in(t) = 1 / sqrt(σ² + t²): data of standard deviation σ with noise t leave it with variance one."""
    c_in = float(Preconditioning().c_in(one(t)))
    assert c_in == pytest.approx(1 / math.sqrt(0.25 + t * t))
    assert c_in**2 * (SIGMA**2 + t**2) == pytest.approx(1)


@pytest.mark.parametrize("t", LEVELS[1:])
def test_c_noise_is_a_quarter_of_the_logarithm(t: float) -> None:
    """c_noise(t) = ln(t) / 4 from t_min on."""
    assert float(Preconditioning().c_noise(one(t))) == pytest.approx(math.log(t) / 4)


@pytest.mark.parametrize("t", [0.0, 1e-30, 0.0029])
def test_c_noise_is_finite_for_clean_signals(t: float) -> None:
    """Below t_min = .003 the network is told t_min: ln(0) would be infinite."""
    assert float(Preconditioning().c_noise(one(t))) == pytest.approx(math.log(0.003) / 4)


# ------------------------------------------------------------------------------------------------- read-outs


@pytest.mark.parametrize("t", LEVELS)
def test_literal_coefficients(t: float) -> None:
    """c_skip = σ² / (t² + σ²) and c_out = t σ / sqrt(t² + σ²)."""
    readout = LiteralReadout()
    assert float(readout.c_skip(one(t))) == pytest.approx(0.25 / (t * t + 0.25))
    assert float(readout.c_out(one(t))) == pytest.approx(t * 0.5 / math.sqrt(t * t + 0.25))


@pytest.mark.parametrize(
    ("name", "t", "value", "digits"),
    [
        ("c_skip", 80.0, 3.9e-5, 6),
        ("c_out", 80.0, 0.49999, 5),
        ("c_skip", 0.821, 0.27, 2),
        ("c_skip", 0.0, 1.0, 12),
        ("c_out", 0.0, 0.0, 12),
        ("c_skip", 0.5, 0.5, 12),
        ("c_out", 0.5, 0.3536, 4),
        ("c_out", 0.007, 0.0070, 4),
    ],
)
def test_literal_numbers(name: str, t: float, value: float, digits: int) -> None:
    """c_skip(80) = 3.9e-5, c_out(80) = .49999 (so f = half the render), c_skip(.821) = .27."""
    assert round(float(getattr(LiteralReadout(), name)(one(t))), digits) == value


@pytest.mark.parametrize("t", LEVELS[1:])
def test_offset_coefficients(t: float) -> None:
    """ECT evaluates with the boundary at .003: c_skip and c_out have t - .003 where the boundary is meant."""
    readout = LiteralReadout(offset=0.003)
    assert float(readout.c_skip(one(t))) == pytest.approx(0.25 / ((t - 0.003) ** 2 + 0.25))
    assert float(readout.c_out(one(t))) == pytest.approx((t - 0.003) * 0.5 / math.sqrt(t * t + 0.25))


def test_offset_hardly_matters_at_the_middle_step() -> None:
    """Training at 0 and evaluating at .003 change either coefficient by less than .002 at t = .821."""
    plain, offset = LiteralReadout(), LiteralReadout(offset=0.003)
    for name in ("c_skip", "c_out"):
        a, b = (float(getattr(readout, name)(one(0.821))) for readout in (plain, offset))
        assert 0 < abs(b - a) < 0.002


@pytest.mark.parametrize("offset", [0.0, 0.003, 0.1])
@pytest.mark.parametrize("kind", [LiteralReadout, TwoHeadedReadout, DirectReadout])
def test_boundary(kind: type[Readout], offset: float) -> None:
    """Law: f(x, t) = x at the boundary, whatever was rendered."""
    readout = kind(offset=offset)
    x = torch.randn(3, 2, 5)
    render = 100 * torch.randn(3, 2 * kind.heads, 5)
    t = torch.full((3,), offset)
    assert torch.allclose(readout.output(render, x, t), x, atol=1e-6)
    assert torch.equal(readout.c_skip(t), torch.ones(3))


@pytest.mark.parametrize("readout", READOUTS, ids=by_name)
def test_skip_narrows_with_noise(readout: Readout) -> None:
    """Law: the share of x_t in f never grows with t, and lies in (0, 1]."""
    skip = readout.c_skip(torch.tensor(LEVELS))
    assert (skip.diff() < 0).all()
    assert skip.min() > 0
    assert skip.max() == 1


@pytest.mark.parametrize("readout", READOUTS, ids=by_name)
def test_rows_are_read_on_their_own(readout: Readout) -> None:
    """Law: every row is read at its own t: a batch of three equals three batches of one."""
    x, render = torch.randn(3, 2, 4, 4), torch.randn(3, 2 * readout.heads, 4, 4)
    t = torch.tensor([0.0, 0.3, 80.0])
    output, signal = readout.output(render, x, t), readout.signal(render, t)
    assert output.shape == signal.shape == x.shape
    for i in range(3):
        row = slice(i, i + 1)
        assert torch.equal(readout.output(render[row], x[row], t[row]), output[row])
        assert torch.equal(readout.signal(render[row], t[row]), signal[row])


@pytest.mark.parametrize("t", LEVELS)
def test_two_headed_has_unit_variance(t: float) -> None:
    """F = a Ô + b N̂, a = t / (σ sqrt(t² + σ²)), b = -σ / sqrt(t² + σ²): a² σ² + b² = 1 when the heads are right."""
    root = math.sqrt(t * t + SIGMA**2)
    a, b = t / (SIGMA * root), -SIGMA / root
    assert a * a * SIGMA**2 + b * b == pytest.approx(1)
    signal, noise, x_t = (torch.randn(1, 1, 6, dtype=torch.float64) for _ in range(3))
    literal, level = LiteralReadout(), one(t)
    expected = literal.output(a * signal + b * noise, x_t, level)
    found = TwoHeadedReadout().output(torch.cat([signal, noise], 1), x_t, level)
    assert torch.allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("t", LEVELS)
def test_two_headed_is_exact_when_both_heads_are(t: float) -> None:
    """Law: with the true signal and the true noise in its heads, f is the signal at every t."""
    signal, noise = torch.randn(2, 3, 5, dtype=torch.float64), torch.randn(2, 3, 5, dtype=torch.float64)
    level = one(t).expand(2)
    x_t = signal + expand(level, signal) * noise
    readout = TwoHeadedReadout()
    assert torch.allclose(readout.output(torch.cat([signal, noise], 1), x_t, level), signal, atol=1e-12)


def test_two_headed_is_its_signal_head_at_the_end() -> None:
    """f = Ô at T, and the signal is Ô at every t, whatever the noise head says."""
    readout, x_t = TwoHeadedReadout(), 80 * torch.randn(2, 3, 4)
    signal, noise = torch.randn(2, 3, 4), torch.randn(2, 3, 4)
    render = torch.cat([signal, noise], 1)
    assert torch.allclose(readout.output(render, x_t, torch.full((2,), 80.0)), signal, atol=0.02)
    for t in LEVELS:
        assert torch.equal(readout.signal(render, torch.full((2,), t)), signal)


@pytest.mark.parametrize("t", LEVELS)
def test_direct_render_is_the_signal(t: float) -> None:
    """Law: the render is the signal at every t, and f lies between it and x_t."""
    readout, render, x_t = DirectReadout(), torch.randn(2, 3, 4), torch.randn(2, 3, 4)
    level = torch.full((2,), t)
    assert torch.equal(readout.signal(render, level), render)
    skip = 0.01 / (t * t + 0.01)
    assert torch.allclose(readout.output(render, x_t, level), skip * x_t + (1 - skip) * render, atol=1e-5)
    assert torch.allclose(readout.output(x_t, x_t, level), x_t)


@pytest.mark.parametrize(
    ("t", "of_signal", "of_noise"), [(0.007, 0.028, 1.0), (80.0, 2.0, 0.00625), (0.5, 1.414, 0.707)]
)
def test_literal_render_must_turn_from_noise_to_twice_the_signal(t: float, of_signal: float, of_noise: float) -> None:
    """The render that makes f exact is (t O / σ - σ z) / sqrt(t² + σ²): .028 O - 1.0 z at .007, 2 O at T."""
    signal, noise = torch.randn(1, 1, 50, dtype=torch.float64), torch.randn(1, 1, 50, dtype=torch.float64)
    root = math.sqrt(t * t + SIGMA**2)
    assert t / (SIGMA * root) == pytest.approx(of_signal, abs=6e-4)
    assert SIGMA / root == pytest.approx(of_noise, abs=6e-4)
    render = (t / SIGMA * signal - SIGMA * noise) / root
    found = LiteralReadout().output(render, signal + t * noise, one(t))
    assert torch.allclose(found, signal, atol=1e-12)


@pytest.mark.parametrize(("t", "gain"), [(0.0, 1.0), (0.003, 1.0), (0.007, 1.0), (0.008, 0.0080), (80.0, 0.49999)])
def test_literal_signal(t: float, gain: float) -> None:
    """The INR of an encoded signal shows it as it is; that of a generated one shows it times c_out."""
    render = torch.randn(1, 3, 4)
    signal = LiteralReadout(t_encode=0.007).signal(render, torch.tensor([t]))
    assert torch.allclose(signal, gain * render, atol=2e-5)


@pytest.mark.parametrize("t", [0.0, 0.007, 0.3, 80.0])
@pytest.mark.parametrize("readout", READOUTS, ids=by_name)
def test_gradients_of_output(readout: Readout, t: float) -> None:
    """The gradients of f with respect to render and x_t agree with finite differences."""
    render = torch.randn(2, readout.heads, 3, dtype=torch.float64, requires_grad=True)
    x_t = torch.randn(2, 1, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a, b: readout.output(a, b, one(t).expand(2)), (render, x_t))


@pytest.mark.parametrize("readout", READOUTS, ids=by_name)
def test_make_readout_by_name(readout: Readout) -> None:
    """Every read-out is found by its name and takes its options."""
    assert make_readout(readout.name) == readout
    assert make_readout(readout.name, sigma_data=0.3).sigma_data == 0.3


def test_unknown_readout_suggests_the_nearest() -> None:
    """A misspelt name is answered with the names there are and the nearest one."""
    with pytest.raises(UsageError, match=r"no read-out named 'two-headd'.*Did you mean 'two-headed'"):
        make_readout("two-headd")


def test_readout_is_abstract() -> None:
    """The interface itself cannot be used as a read-out."""
    with pytest.raises(TypeError, match="abstract"):
        Readout()


@pytest.mark.parametrize("kind", [LiteralReadout, TwoHeadedReadout, DirectReadout])
def test_bad_sigma_is_refused(kind: type[Readout]) -> None:
    """sigma_data must be positive."""
    with pytest.raises(UsageError, match="'sigma_data' must be > 0"):
        kind(sigma_data=-0.1)
