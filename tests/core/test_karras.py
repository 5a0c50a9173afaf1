"""Grids of noise levels, how they become finer, and how often each pair is drawn, against the published numbers."""

import itertools
import math

import pytest
import torch

from inrkit import Cd, CmFunc, Ct, Draws, Ict
from inrkit.core.karras import (
    doubling_count,
    karras_levels,
    lognormal_chances,
    lognormal_pairs,
    square_root_count,
    uniform_pairs,
)
from inrkit.errors import UsageError

CIFAR, IMAGENET = 800_000, 800_000


# ------------------------------------------------------------------------------------------------- the grid


def test_grid_by_formula() -> None:
    """σ_i = (σ_max^(1/7) + i/(N-1) (σ_min^(1/7) - σ_max^(1/7)))^7, from 80 at index 0 down to .002."""
    levels = karras_levels(40)
    assert len(levels) == 40
    assert float(levels[0]) == 80.0
    assert float(levels[-1]) == 0.002
    assert (levels.diff() < 0).all()
    for i, level in enumerate(levels.tolist()):
        assert level == pytest.approx((80 ** (1 / 7) + i / 39 * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7, rel=1e-9)


@pytest.mark.parametrize(
    ("count", "index", "level", "digits"),
    [(40, 22, 1.38, 2), (201, 106, 1.91, 2), (40, 17, 4.37, 2), (151, 67, 3.99, 2), (18, 11, 0.585, 3)],
)
def test_middle_levels_of_the_two_step_settings(count: int, index: int, level: float, digits: int) -> None:
    """The second noise level of Song's samplers, by the index that their scripts give."""
    assert round(float(karras_levels(count)[index]), digits) == level


def test_grid_of_two_is_its_ends() -> None:
    """At the start of training: 80 is compared with .002."""
    assert karras_levels(2).tolist() == [80.0, 0.002]


@pytest.mark.parametrize("count", [2, 11, 18, 151, 1281])
def test_neighbours_differ_in_single_precision(count: int) -> None:
    """Law: 0 < r < t in the precision that training uses."""
    levels = karras_levels(count).float()
    assert (levels.diff() < 0).all()
    assert levels.min() > 0


# ------------------------------------------------------------------------------------------------- numbers of levels


@pytest.mark.parametrize(
    ("step", "count"), [(0, 2), (1_000, 6), (10_000, 17), (100_000, 54), (400_000, 107), (800_000, 151)]
)
def test_song_counts_of_cifar(step: int, count: int) -> None:
    """N(k) = 2, 6, 17, 54, 107, 151 at k = 0, 1k, 10k, 100k, 400k, 800k for s0 = 2, s1 = 150."""
    assert square_root_count(step / CIFAR, 2, 150) == count
    assert Ct().count(step / CIFAR) == count
    assert len(Ct().levels(step / CIFAR)) == count


def test_song_counts_of_imagenet() -> None:
    """With s1 = 200: from 2 to 201 levels."""
    assert [square_root_count(share, 2, 200) for share in (0.0, 1.0)] == [2, 201]


def test_counts_never_fall() -> None:
    """Law: the grid becomes finer as training goes on, and is as fine as it is said to be at the end."""
    for objective, last in ((Ct(), 151), (CmFunc(), 151), (Ict(), 1281), (Cd(), 18)):
        counts = [objective.count(i / 500) for i in range(501)]
        assert counts == sorted(counts)
        assert counts[-1] == last
        assert counts[0] >= 2


@pytest.mark.parametrize("stage", range(8))
def test_ict_counts(stage: int) -> None:
    """K = 400k: N = 11, 21, 41, ..., 1281, each for K' = 50,000 steps."""
    total, length = 400_000, 50_000
    expected = [11, 21, 41, 81, 161, 321, 641, 1281][stage]
    assert doubling_count(stage * length / total, 10, 1280) == expected
    assert doubling_count(((stage + 1) * length - 1) / total, 10, 1280) == expected
    assert Ict().count((stage + 0.5) / 8) == expected


def test_ict_count_is_bounded() -> None:
    """min(..., s1): s1 is reached even where it is no power of two times s0."""
    assert doubling_count(1.0, 10, 100) == 101
    assert doubling_count(1.0, 3, 7) == 8
    assert doubling_count(0.999, 10, 1280) == 1281


# ------------------------------------------------------------------------------------------------- the teacher's decay


@pytest.mark.parametrize(("mu", "expected"), [("code", 0.81), ("paper", 0.90)])
def test_decay_at_the_start(mu: str, expected: float) -> None:
    """At k = 0 the code has μ = .81, the paper .90, for μ0 = .9 and s0 = 2."""
    assert Ct(mu=mu).teacher_decay(0.0) == pytest.approx(expected)


@pytest.mark.parametrize("progress", [0.0, 0.001, 0.1, 0.5, 1.0])
def test_both_readings_of_the_decay(progress: float) -> None:
    """μ(k) = exp(s0 ln μ0 / N(k)) in the paper, with N(k) - 1 in the code; both rise towards 1."""
    n = Ct().count(progress)
    assert Ct(mu="paper").teacher_decay(progress) == pytest.approx(math.exp(2 * math.log(0.9) / n))
    assert Ct(mu="code").teacher_decay(progress) == pytest.approx(math.exp(2 * math.log(0.9) / (n - 1)))
    assert Ct(mu="code").teacher_decay(progress) < Ct(mu="paper").teacher_decay(progress) < 1


def test_decay_of_imagenet() -> None:
    """μ0 = .95, s1 = 200: .9995 at the end, by either reading."""
    for mu in ("code", "paper"):
        assert Ct(mu0=0.95, s1=200, mu=mu).teacher_decay(1.0) == pytest.approx(0.9995, abs=2e-5)


@pytest.mark.parametrize("progress", [0.0, 0.5, 1.0])
def test_own_weights_for_a_teacher(progress: float) -> None:
    """The teacher of ict is no average; μ0 = 0 gives ct none either; cd has what it is told."""
    assert Ict().teacher_decay(progress) == Ct(mu0=0.0).teacher_decay(progress) == Cd().teacher_decay(progress) == 0
    assert Cd(mu=0.95).teacher_decay(progress) == 0.95


# ------------------------------------------------------------------------------------------------- the pairs


@pytest.mark.parametrize(("count", "skip"), [(2, 1), (18, 1), (18, 5), (50, 20)])
def test_uniform_pairs(count: int, skip: int) -> None:
    """Every level that has a neighbour ``skip`` further is drawn equally often, with that neighbour."""
    levels = karras_levels(count)
    t, r = uniform_pairs(levels, Draws(0, 40_000), skip)
    index = (t[:, None] - levels.float()).abs().argmin(1)
    assert torch.equal(levels.float()[index + skip], r)
    drawn = torch.bincount(index, minlength=count - skip)
    assert len(drawn) == count - skip
    assert torch.allclose(drawn / 40_000, torch.full((count - skip,), 1 / (count - skip)), rtol=0.15)


@pytest.mark.parametrize("count", [2, 11, 41, 1281])
def test_lognormal_chances_by_formula(count: int) -> None:
    """P(σ_i) ∝ erf((ln σ_(i+1) + 1.1) / (2 sqrt2)) - erf((ln σ_i + 1.1) / (2 sqrt2)), ascending as iCT counts."""
    levels = karras_levels(count)
    ascending = levels.flip(0).tolist()
    ends = [math.erf((math.log(level) + 1.1) / (2 * math.sqrt(2))) for level in ascending]
    mass = torch.tensor([b - a for a, b in itertools.pairwise(ends)], dtype=torch.float64)
    assert torch.allclose(lognormal_chances(levels, -1.1, 2.0), (mass / mass.sum()).flip(0))


def test_lognormal_pairs_follow_their_chances() -> None:
    """Neighbours come as often as the formula says."""
    levels = karras_levels(21)
    t, r = lognormal_pairs(levels, Draws(1, 100_000), -1.1, 2.0)
    index = (t[:, None] - levels.float()).abs().argmin(1)
    assert torch.equal(levels.float()[index + 1], r)
    chances = lognormal_chances(levels, -1.1, 2.0)
    assert torch.allclose(torch.bincount(index, minlength=20) / 100_000, chances.float(), atol=5e-3)


@pytest.mark.parametrize("objective", [Ct(), Ict(), Cd(skip=3)], ids=lambda objective: objective.name)
def test_times_depend_on_the_global_row(objective: Ct | Ict | Cd) -> None:
    """Law: a part of a batch draws what the whole batch draws for these rows."""
    t, r = objective.times(0.7, Draws(5, 12))
    for start in (0, 4, 8):
        part = objective.times(0.7, Draws(5, 12, start=start, stop=start + 4))
        assert torch.equal(part[0], t[start : start + 4])
        assert torch.equal(part[1], r[start : start + 4])


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (Ct, {"sigma_min": 90.0}, "'sigma_min' must be below"),
        (Ct, {"s0": 1}, "'s0' must be at least 2"),
        (Ct, {"mu0": 1.0}, "'mu0' must be from 0 to less than 1"),
        (Ict, {"p_std": 0.0}, "'p_std' must be > 0"),
        (Cd, {"skip": 18}, "'skip' must be less than the number of levels, 'n' = 18"),
        (Ict, {"s0": 20, "s1": 10}, "'s1' must be at least 's0' = 20"),
    ],
)
def test_impossible_options_are_refused(kind: type, options: dict[str, float], message: str) -> None:
    """By name, before anything runs."""
    with pytest.raises(UsageError, match=message):
        kind(**options)
