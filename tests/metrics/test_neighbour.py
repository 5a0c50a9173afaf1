"""Balls around points: precision, recall, density, coverage, diversity and nearest neighbours, worked out by hand."""

import math

import pytest
import torch
from torch import Tensor

from inrkit.errors import UsageError
from inrkit.metrics.neighbour import (
    PrecisionRecall,
    diversity,
    mean_pairwise_distance,
    nearest,
    precision_recall,
)


def line(*numbers: float) -> Tensor:
    return torch.tensor(numbers)[:, None]


def brute(real: Tensor, samples: Tensor, k: int) -> PrecisionRecall:
    """The definitions, one pair at a time."""

    def radius(x: Tensor, i: int) -> float:
        return sorted(float((x[i] - x[j]).norm()) for j in range(len(x)) if j != i)[k - 1]

    def inside(p: Tensor, x: Tensor) -> list[bool]:
        return [float((p - x[i]).norm()) <= radius(x, i) for i in range(len(x))]

    balls = [inside(y, real) for y in samples]
    return PrecisionRecall(
        precision=sum(map(any, balls)) / len(samples),
        recall=sum(any(inside(x, samples)) for x in real) / len(real),
        density=sum(map(sum, balls)) / (k * len(samples)),
        coverage=sum(map(any, zip(*balls, strict=True))) / len(real),
    )


def test_precision_recall_of_a_case_worked_out_by_hand() -> None:
    """Real 0, 1, 2, 10 with k = 1 have radii 1, 1, 1, 8; samples 2.5, 3, 100 have radii 0.5, 0.5, 97."""
    found = precision_recall(line(0, 1, 2, 10), line(2.5, 3, 100), k=1)
    assert found.precision == pytest.approx(2 / 3)  # 100 lies in no real ball
    assert found.density == pytest.approx(4 / 3)  # 2.5 and 3 lie in the balls of 2 and of 10
    assert found.coverage == pytest.approx(2 / 4)
    assert found.recall == pytest.approx(2 / 4)  # 2 lies on the edge of 2.5's ball, which counts; 10 in that of 100


def test_precision_recall_agrees_with_the_definition() -> None:
    """Pair by pair, for several k."""
    real, samples = torch.randn(30, 3, dtype=torch.float64), 1.3 * torch.randn(25, 3, dtype=torch.float64) + 0.4
    for k in (1, 3, 5):
        found, expected = precision_recall(real, samples, k=k), brute(real, samples, k)
        assert found.precision == pytest.approx(expected.precision)
        assert found.recall == pytest.approx(expected.recall)
        assert found.density == pytest.approx(expected.density)
        assert found.coverage == pytest.approx(expected.coverage)


def test_precision_recall_of_a_set_with_itself() -> None:
    """Every point lies in its own ball; each ball holds its centre and k others, so density is (k + 1) / k."""
    x = torch.randn(50, 4)
    assert precision_recall(x, x, k=3) == PrecisionRecall(1.0, 1.0, pytest.approx(4 / 3), 1.0)


def test_precision_and_recall_swap_with_the_sets() -> None:
    """The precision of a for b is the recall of b for a."""
    a, b = torch.randn(60, 2), torch.randn(60, 2) + 0.8
    assert precision_recall(a, b).precision == precision_recall(b, a).recall


def test_sets_far_apart_share_nothing() -> None:
    """All four are 0, and so is F1."""
    found = precision_recall(torch.randn(20, 2), torch.randn(20, 2) + 100)
    assert (found.precision, found.recall, found.density, found.coverage, found.f1) == (0, 0, 0, 0, 0)


def test_a_missing_mode_costs_recall_and_not_precision() -> None:
    """Samples from one of two clusters are all plausible and cover half."""
    real = torch.cat([torch.randn(100, 2), torch.randn(100, 2) + 50])
    found = precision_recall(real, torch.randn(200, 2) * 0.9)
    assert found.precision > 0.9
    assert 0.35 < found.recall <= 0.5
    assert found.coverage <= 0.5


def test_f1_is_the_harmonic_mean() -> None:
    """2 P R / (P + R)."""
    assert PrecisionRecall(0.5, 1.0, 0, 0).f1 == pytest.approx(2 / 3)


def test_precision_recall_does_not_depend_on_unit_or_rotation() -> None:
    """Only the order of distances counts."""
    a, b = torch.randn(40, 3, dtype=torch.float64), torch.randn(40, 3, dtype=torch.float64)
    q = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64)).Q
    assert precision_recall(a, b) == precision_recall(1000 * a @ q, 1000 * b @ q)


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few rows at a time give the same numbers, bit for bit."""
    a, b = torch.randn(40, 3), torch.randn(33, 3)
    expected = precision_recall(a, b), mean_pairwise_distance(a)
    monkeypatch.setattr("inrkit.metrics.neighbour._CHUNK_NUMBERS", 70)
    assert precision_recall(a, b) == expected[0]
    assert mean_pairwise_distance(a) == pytest.approx(expected[1], rel=1e-12)


def test_precision_recall_needs_more_rows_than_neighbours() -> None:
    """k others must exist."""
    with pytest.raises(UsageError, match=r"'samples' must be .* at least 4"):
        precision_recall(torch.zeros(10, 2), torch.zeros(3, 2), k=3)


def test_mean_pairwise_distance_of_a_triangle() -> None:
    """Sides 3, 4 and 5 average to 4."""
    assert mean_pairwise_distance(torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]])) == pytest.approx(4)


def test_mean_pairwise_distance_of_two_standard_normals() -> None:
    """E|x - y| = 2 / sqrt(π) in one dimension."""
    assert mean_pairwise_distance(torch.randn(3000, 1)) == pytest.approx(2 / math.sqrt(math.pi), rel=0.03)


def test_diversity_is_a_ratio() -> None:
    """Half as wide is half as diverse; copies of one are not diverse at all."""
    real = torch.randn(30, 2, 4)
    assert diversity(real / 2 + 3, real) == pytest.approx(0.5)
    assert diversity(real[:1].expand(30, -1, -1), real) == 0
    with pytest.raises(UsageError, match="two different rows"):
        diversity(real, torch.ones(5, 2, 4))


def test_nearest_finds_the_minimum_of_all_distances() -> None:
    """Index and distance of the closest, whatever the chunk, in any shape of values."""
    queries, references = torch.randn(20, 3, 4), torch.randn(101, 3, 4)
    expected = torch.cdist(queries.flatten(1).double(), references.flatten(1).double()).min(dim=1)
    for chunk in (1, 7, 1024):
        found = nearest(queries, references, chunk=chunk)
        assert torch.equal(found.indices, expected.indices)
        torch.testing.assert_close(found.distances, expected.values)


def test_nearest_of_a_copy_is_exactly_zero() -> None:
    """Also far from the origin, where a matrix product alone would report rounding."""
    references = torch.randn(300, 50) + 1000
    found = nearest(references[[250, 3]], references, chunk=64)
    assert found.indices.tolist() == [250, 3]
    assert found.distances.tolist() == [0, 0]


def test_nearest_reads_batches_one_after_another() -> None:
    """An iterable of batches is numbered through, so the training set need not fit into memory."""
    references = torch.randn(50, 6)
    queries = references[[0, 24, 25, 49]] + 1e-3
    found = nearest(queries, (batch for batch in references.split(25)))
    assert found.indices.tolist() == [0, 24, 25, 49]


def test_nearest_takes_the_first_of_equals_and_marks_what_is_not_finite() -> None:
    """Ties go to the lower index; a NaN has no neighbour."""
    found = nearest(torch.tensor([[0.0], [math.nan]]), line(1, -1, 1), chunk=1)
    assert found.indices.tolist() == [0, -1]
    assert found.distances.tolist() == [1, math.inf]


def test_nearest_refuses_other_shapes_and_nothing() -> None:
    """Values measured differently have no distance."""
    with pytest.raises(UsageError, match="6 numbers per row"):
        nearest(torch.zeros(2, 6), torch.zeros(3, 5))
    with pytest.raises(UsageError, match="empty"):
        nearest(torch.zeros(2, 6), [])
