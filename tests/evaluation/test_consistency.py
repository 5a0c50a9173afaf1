"""Diagnostics of consistency functions with known answers."""

import itertools
import math

import pytest
import torch
from gaussian import MEAN, STD, batch_of, linear_pipeline, transformer_pipeline
from torch import Tensor, nn

from inrkit import Draws, Observation, UsageError
from inrkit.evaluation.consistency import along, dense_levels


class Known(nn.Module):
    """f by a formula, in place of a trained pipeline."""

    def __init__(self, formula: object) -> None:
        super().__init__()
        self.formula, self.inner = formula, linear_pipeline()

    def forward(self, noisy: Observation, t: Tensor, query: Observation, label: Tensor | None = None) -> object:
        values = self.formula(query.values, t[:, None, None])  # type: ignore[operator]
        return type(self.inner(noisy, t))({}, t, query.with_values(values), values, self.inner)


BATCH = batch_of(MEAN + STD * torch.randn(400, 1, 2, generator=torch.Generator().manual_seed(1)))
TIMES = (0.1, 0.4, 1.6)


def test_whoever_answers_with_what_it_sees_is_as_far_off_as_the_noise() -> None:
    """f(x_t, t) = x_t: the distance is t, and the drift from t to t' is t' - t."""
    found = along(Known(lambda x, t: x), BATCH, Draws(0, 400), TIMES)  # type: ignore[arg-type]
    size = found.distance[0] / 0.1
    assert size == pytest.approx(1, rel=0.1)
    assert found.distance == pytest.approx([t * size for t in TIMES], rel=1e-4)
    assert found.drift == pytest.approx([0.3 * size, 1.2 * size], rel=1e-4)
    assert found.length == pytest.approx(found.ends, rel=1e-4)
    assert [rate for _, rate in found.rates()] == pytest.approx([0.15 * size, 0.6 * size], rel=1e-4)
    assert [t for t, _ in found.rates()] == pytest.approx([0.2, 0.8])


def test_whoever_always_says_the_same_does_not_drift() -> None:
    """A constant is perfectly consistent, and as far from the signals as they spread about it."""
    found = along(Known(lambda x, t: MEAN.expand_as(x)), BATCH, Draws(0, 400), TIMES)  # type: ignore[arg-type]
    assert found.drift == [0, 0]
    assert found.ends == 0
    assert found.distance == pytest.approx([math.sqrt((0.3**2 + 0.8**2) / 2)] * 3, rel=0.1)


def test_the_exact_function_has_the_distance_of_its_formula() -> None:
    """f - x = (g - 1)(x - m) + g t z with g = s / sqrt(s² + t²), of independent x and z."""

    def exact(x: Tensor, t: Tensor) -> Tensor:
        return MEAN + STD / (STD**2 + t**2).sqrt() * (x - MEAN)

    found = along(Known(exact), BATCH, Draws(0, 400), TIMES)  # type: ignore[arg-type]
    for t, distance in zip(TIMES, found.distance, strict=True):
        gain = STD / (STD**2 + t**2).sqrt()
        expected = (((gain - 1) * STD) ** 2 + (gain * t) ** 2).mean().sqrt()
        assert distance == pytest.approx(float(expected), rel=0.1)


def test_dense_levels_are_even_and_on_no_end() -> None:
    """Equal ratios, ascending, within the range and never at its ends."""
    times = dense_levels(8, 80.0, 0.01)
    ratios = [b / a for a, b in itertools.pairwise(times)]
    assert ratios == pytest.approx([(80 / 0.01) ** (1 / 8)] * 7)
    assert 0.01 < times[0] < times[-1] < 80


def test_a_network_is_measured_at_its_query() -> None:
    """Finite, repeatable, and 0 from x at no noise: the boundary of the read-out."""
    batch = batch_of(torch.randn(3, 1, 8, generator=torch.Generator().manual_seed(0)))
    found, again = (along(transformer_pipeline(), batch, Draws(0, 3), (1e-4, 1.0)) for _ in range(2))
    assert found == again
    assert found.distance[0] < 1e-3 < found.distance[1]


@pytest.mark.parametrize("times", [(1.0,), (2.0, 1.0), (0.0, 1.0), (1.0, 1.0)])
def test_impossible_times_are_refused(times: tuple[float, ...]) -> None:
    """Positive and ascending, two of them at least."""
    with pytest.raises(UsageError, match="positive and ascending"):
        along(transformer_pipeline(), BATCH, Draws(0, 400), times)
