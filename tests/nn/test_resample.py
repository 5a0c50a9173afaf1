"""Values at another size."""

import pytest
import torch

from inrkit import grid_centers, resample


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("size", [3, 7, 8, 12, 19])
def test_a_constant_stays(axes: int, size: int) -> None:
    """At any size, open or closed, along any number of axes."""
    values = torch.full((2, 1, *[8] * axes), 0.3)
    for closed in (True, False):
        found = resample(values, (size,) * axes, closed=(closed,) * axes)
        assert found.shape == (2, 1, *[size] * axes)
        assert torch.allclose(found, torch.full_like(found, 0.3))


def test_lines_are_continued_exactly() -> None:
    """Between the outermost centers linear values stay linear when made larger."""
    coarse, fine = (grid_centers((n,))[:, 0] for n in (8, 32))
    found = resample(coarse[None, None], (32,))[0, 0]
    inside = fine.abs() < 7 / 8
    assert torch.allclose(found[inside], fine[inside], atol=1e-6)


def test_what_is_made_smaller_keeps_its_mean_and_loses_what_it_cannot_hold() -> None:
    """Along a closed axis by a whole factor; the finest pattern becomes grey."""
    values = torch.rand(2, 3, 24)
    assert torch.allclose(resample(values, (6,), closed=(True,)).mean(2), values.mean(2), atol=1e-6)
    fine = torch.tensor([1.0, -1.0]).repeat(16)[None, None]
    assert float(resample(fine, (8,), closed=(True,)).abs().max()) < 1e-6


def test_a_closed_axis_has_no_seam() -> None:
    """Turning the values by whole cells and resampling is resampling and turning."""
    values = torch.rand(1, 1, 5, 16)
    turned = resample(values.roll(4, 3), (5, 32), closed=(False, True))
    assert torch.allclose(turned, resample(values, (5, 32), closed=(False, True)).roll(8, 3), atol=1e-6)
