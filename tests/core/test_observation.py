"""Observations: noise touches the values alone."""

import attrs
import pytest
import torch
from gaussian import batch_of, observed

from inrkit import Batch, Draws, Grid, GridObservation, Observation, expand


def test_observation_is_abstract() -> None:
    """An observation without `rows`, `to` and `share_noise` cannot exist."""
    with pytest.raises(TypeError, match="abstract"):
        Observation(torch.zeros(1), None)


def test_perturb_is_x_plus_t_z() -> None:
    """Law: O_t = O + t z with one t per row."""
    x, z, t = torch.randn(3, 1, 4), torch.randn(3, 1, 4), torch.tensor([0.0, 0.5, 80.0])
    noisy = observed(x).perturb(z, t)
    for row in range(3):
        assert torch.equal(noisy.values[row], x[row] + t[row] * z[row])


def test_no_noise_at_zero() -> None:
    """Law: at t = 0 the observation comes back, bit for bit."""
    x = torch.randn(3, 2, 4)
    assert torch.equal(observed(x).perturb(torch.randn_like(x), torch.zeros(3)).values, x)


def test_perturb_keeps_the_measurement() -> None:
    """Law: neither noise nor new values touch ``where``, nor the observation they were made from."""
    clean = observed(torch.zeros(2, 1, 4))
    noisy = clean.perturb(torch.ones(2, 1, 4), torch.ones(2))
    assert noisy.where is clean.where
    assert type(noisy) is type(clean)
    assert clean.values.abs().sum() == 0
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        clean.values = noisy.values  # type: ignore[misc]


@pytest.mark.parametrize("shape", [(3,), (3, 2), (3, 2, 4, 5)])
def test_expand_multiplies_rows(shape: tuple[int, ...]) -> None:
    """One number per row, for values of any number of axes."""
    t = torch.tensor([1.0, 2.0, 3.0])
    product = expand(t, torch.ones(shape)) * torch.ones(shape)
    assert product.shape == shape
    assert all((product[row] == t[row]).all() for row in range(3))


@pytest.mark.parametrize("index", [slice(1, 3), torch.tensor([2, 0])])
def test_rows_of_a_batch(index: slice | torch.Tensor) -> None:
    """Law: rows of a batch are rows of its support, its query and its labels."""
    values, label = torch.randn(4, 1, 3), torch.arange(4)
    batch = Batch(observed(values), observed(values * 2), label)
    part = batch.rows(index)
    assert torch.equal(part.support.values, values[index])
    assert torch.equal(part.query.values, values[index] * 2)
    assert part.label is not None
    assert torch.equal(part.label, label[index])
    assert len(part) == len(part.support) == 2
    assert batch_of(values).rows(index).label is None


def test_batch_moves_as_a_whole() -> None:
    """Support, query and labels go to the device together."""
    batch = batch_of(torch.zeros(2, 1, 4), torch.zeros(2, dtype=torch.long)).to("meta")
    assert batch.support.values.is_meta
    assert batch.query.values.is_meta
    assert batch.label is not None
    assert batch.label.is_meta


def test_support_and_query_share_noise_on_the_same_grid() -> None:
    """Law: what is measured twice in the same place sees the same noise."""
    support, query = batch_of(torch.zeros(3, 2, 4)).noise(Draws(0, 3))
    assert torch.equal(support, query)
    assert abs(float(support.std()) - 1) < 0.5


def test_noise_is_drawn_for_the_rows() -> None:
    """Law: the noise of a part of the batch is the part of the noise."""
    batch = batch_of(torch.zeros(4, 1, 6))
    whole, _ = batch.noise(Draws(3, 4))
    parts = [batch.rows(slice(a, b)).noise(Draws(3, 4, start=a, stop=b))[0] for a, b in ((0, 1), (1, 4))]
    assert torch.equal(torch.cat(parts), whole)


def test_noise_has_the_type_of_the_values() -> None:
    """Values of double precision get noise of double precision."""
    support, query = batch_of(torch.zeros(2, 1, 4, dtype=torch.float64)).noise(Draws(0, 2))
    assert support.dtype == query.dtype == torch.float64


def test_query_on_a_subset_shares_the_cells_noise() -> None:
    """A query of some cells sees the noise of these cells."""
    index = torch.tensor([0, 2, 3])
    query = GridObservation(torch.zeros(2, 1, 3), Grid((4,), index))
    support, found = Batch(observed(torch.zeros(2, 1, 4)), query).noise(Draws(0, 2))
    assert torch.equal(found, support[:, :, index])
