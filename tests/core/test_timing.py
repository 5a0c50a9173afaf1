"""The curriculum r(t), against ECT's numbers."""

import math

import pytest
import torch

from inrkit import LogNormal, SigmoidPairing

LEVELS = torch.logspace(-4, math.log10(80), 400, dtype=torch.float64)
PAIRINGS = [SigmoidPairing(), SigmoidPairing(offset=1), SigmoidPairing(k=0.0), SigmoidPairing(256, stages=1)]


def progress_of(exponent: int, stages: int = 9) -> float:
    """The middle of the stage with this exponent."""
    return (exponent + 0.5) / stages


def ratio(exponent: int, t: float) -> float:
    """r / t for q = 2, k = 8, b = 1."""
    r = SigmoidPairing(stages=9).r(torch.tensor([t], dtype=torch.float64), progress_of(exponent))
    return float(r) / t


@pytest.mark.parametrize(
    ("exponent", "t", "expected"),
    [
        (3, 0.01, 0.378),
        (3, 1, 0.606),
        (3, 80, 0.875),
        (4, 0.01, 0.689),
        (4, 1, 0.803),
        (4, 80, 0.938),
        (7, 0.01, 0.961),
        (7, 1, 0.975),
        (7, 80, 0.992),
        (8, 0.01, 0.981),
        (8, 1, 0.988),
        (8, 80, 0.996),
        (1, 80, 0.5),
    ],
)
def test_ratio_by_exponent(exponent: int, t: float, expected: float) -> None:
    """r / t = 1 - (1 + 8 sigmoid(-t)) / 2^a, to three digits."""
    assert ratio(exponent, t) == pytest.approx(expected, abs=5.1e-4)


@pytest.mark.parametrize("t", [1e-4, 0.003, 0.3, 1.0, 80.0, 500.0])
def test_first_stage_from_scratch_is_denoising(t: float) -> None:
    """a = 0: every r is 0."""
    assert ratio(0, t) == 0


@pytest.mark.parametrize(("exponent", "level", "percent"), [(1, math.log(7), 18.9), (1, 1.946, 18.9), (2, 0.511, 41.5)])
def test_where_r_leaves_zero(exponent: int, level: float, percent: float) -> None:
    """a = 1: r > 0 only for t > ln 7 = 1.946 (18.9 % of samples); a = 2: for t > .511 (41.5 %)."""
    assert ratio(exponent, level * 0.999) == 0
    assert ratio(exponent, level * 1.001) > 0
    assert round(100 * (1 - LogNormal().cdf(level)), 1) == percent


@pytest.mark.parametrize(("exponent", "percent"), [(0, 100), (1, 81), (2, 58), (3, 0)])
def test_share_of_rows_with_r_zero(exponent: int, percent: int) -> None:
    """100, 81, 58 % of the rows need no teacher in the first three stages, none of them later."""
    shares = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
    t = torch.exp(torch.distributions.Normal(-1.1, 2.0).icdf(shares))
    r = SigmoidPairing(stages=9).r(t, progress_of(exponent))
    assert math.floor(100 * float((r == 0).double().mean())) == percent


@pytest.mark.parametrize(("t", "expected"), [(1e-6, 0.981), (0.01, 0.981), (80, 0.996)])
def test_one_stage_of_256(t: float, expected: float) -> None:
    """ECT's one-hour run: q = 256, one stage, exponent 1: r / t = .981 at 0 and .996 at 80."""
    r = SigmoidPairing(256, stages=1, offset=1).r(torch.tensor([t], dtype=torch.float64), 0.7)
    assert float(r) / t == pytest.approx(expected, abs=6e-4)


@pytest.mark.parametrize(("exponent", "expected"), [(0, 0.0), (1, 0.5), (2, 0.75), (8, 1 - 1 / 256)])
def test_constant_map(exponent: int, expected: float) -> None:
    """r / t = 1 - 1 / 2^a for every t."""
    r = SigmoidPairing(k=0.0, stages=9).r(LEVELS, progress_of(exponent))
    assert torch.allclose(r / LEVELS, torch.full_like(LEVELS, expected))


@pytest.mark.parametrize(
    ("progress", "stages", "offset", "stage"),
    [
        (0.0, 8, 0, 0),
        (0.124, 8, 0, 0),
        (0.125, 8, 0, 1),
        (0.5, 8, 0, 4),
        (0.9999, 8, 0, 7),
        (1.0, 8, 0, 7),
        (0.0, 8, 1, 1),
        (1.0, 8, 1, 8),
        (0.3, 1, 0, 0),
        (1.0, 1, 1, 1),
        (25_000 / 200_000, 8, 1, 2),
        (24_999 / 200_000, 8, 1, 1),
    ],
)
def test_stage_arithmetic(progress: float, stages: int, offset: int, stage: int) -> None:
    """a = floor(progress * stages) + offset; the end belongs to the last stage; ECT's exponents run from 1 to 8."""
    assert SigmoidPairing(stages=stages, offset=offset).stage(progress) == stage


@pytest.mark.parametrize("progress", [0.0, 0.3, 0.6, 1.0])
@pytest.mark.parametrize("pairing", PAIRINGS, ids=repr)
def test_r_is_cleaner_than_t(pairing: SigmoidPairing, progress: float) -> None:
    """Law: 0 <= r < t, in single precision too."""
    for t in (LEVELS, LEVELS.float()):
        r = pairing.r(t, progress)
        assert r.shape == t.shape
        assert r.dtype == t.dtype
        assert (r >= 0).all()
        assert (r < t).all()


@pytest.mark.parametrize("pairing", PAIRINGS[:3], ids=repr)
def test_curriculum_closes_in(pairing: SigmoidPairing) -> None:
    """Law: r never falls as training goes on, and rises from stage to stage in the end."""
    course = torch.stack([pairing.r(LEVELS, i / 64) for i in range(65)])
    assert (course.diff(dim=0) >= 0).all()
    assert (course[-1] > course[0]).all()
