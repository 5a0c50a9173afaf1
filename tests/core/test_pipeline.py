"""The flow: observation, params, field, render, prediction."""

from collections.abc import Callable

import pytest
import torch
from gaussian import Linear, Lookup, linear_pipeline, observed, transformer_pipeline
from torch import Tensor

from inrkit import (
    Denoiser,
    DirectReadout,
    Draws,
    Grid,
    GridObservation,
    INRFunction,
    LiteralReadout,
    Modality,
    Params,
    Pipeline,
    Readout,
    Source,
    Transform,
    TwoHeadedReadout,
    UsageError,
    sample,
)
from inrkit.core.objective.base import Objective

READOUTS = [LiteralReadout(), TwoHeadedReadout(), DirectReadout()]


@pytest.mark.parametrize("kind", [Denoiser, INRFunction, Transform, Modality, Source, Objective])
def test_interfaces_are_abstract(kind: type) -> None:
    """Law: no interface can be instantiated, those that are torch modules included."""
    with pytest.raises(TypeError, match="abstract"):
        kind()


def test_incomplete_denoiser_cannot_exist() -> None:
    """Law: a subclass that forgets an abstract method is refused when it is made."""

    class Forgetful(Denoiser):
        pass

    with pytest.raises(TypeError, match="abstract"):
        Forgetful()


@pytest.mark.parametrize(
    "params",
    [
        {"values": torch.zeros(2, 3, 1)},
        {"values": torch.zeros(2, 8)},
        {"other": torch.zeros(2, 8, 1)},
        {"values": torch.zeros(2, 8, 1), "more": torch.zeros(2, 1)},
        {},
    ],
)
def test_bind_refuses_wrong_params(params: Params) -> None:
    """Law: a function binds only params of the names and shapes it declares, and says what it needs."""
    with pytest.raises(UsageError, match=r"`Lookup` needs params \{'values': \(8, 1\)\}, got"):
        Lookup(8).bind(params)


def test_field_keeps_nothing_on_the_function() -> None:
    """Law: two fields of one function do not disturb each other."""
    function, coords = Lookup(4), torch.tensor([[[-0.9], [0.9]]])
    first, second = (function.bind({"values": torch.full((1, 4, 1), float(v))}) for v in (1, 2))
    assert second(coords).unique().tolist() == [2]
    assert first(coords).unique().tolist() == [1]


@pytest.mark.parametrize("readout", READOUTS, ids=lambda readout: readout.name)
@pytest.mark.parametrize("make", [transformer_pipeline, lambda readout: linear_pipeline(readout, cells=8)])
def test_batch_of_two_is_two_batches_of_one(make: Callable[[Readout], Pipeline], readout: Readout) -> None:
    """Law: rows are independent in every part of the flow."""
    pipeline = make(readout)
    x, t = torch.randn(2, 1, 8), torch.tensor([0.1, 5.0])
    both = pipeline(observed(x), t)
    for i in range(2):
        row = pipeline(observed(x[i : i + 1]), t[i : i + 1])
        assert torch.allclose(row.observation.values, both.observation.values[i : i + 1], atol=1e-5)
        assert torch.allclose(row.signal, both.signal[i : i + 1], atol=1e-5)
        assert torch.allclose(row.params["values"], both.params["values"][i : i + 1], atol=1e-5)


@pytest.mark.parametrize("readout", READOUTS, ids=lambda readout: readout.name)
def test_boundary_of_the_whole_flow(readout: Readout) -> None:
    """Law: f(x, 0) = x, whatever the weights."""
    x = torch.randn(3, 1, 8)
    prediction = transformer_pipeline(readout)(observed(x), torch.zeros(3))
    assert torch.allclose(prediction.observation.values, x, atol=1e-6)


def test_denoiser_sees_unit_variance_and_the_level() -> None:
    """The denoiser is shown c_in(t) O_t and c_noise(t), for each row on its own."""
    pipeline = linear_pipeline()
    x, t = torch.randn(3, 1, 2), torch.tensor([0.0, 1.0, 80.0])
    pipeline(observed(x), t, label=torch.tensor([1, 2, 3]))
    assert isinstance(pipeline.denoiser, Linear)
    values, level, label = pipeline.denoiser.seen[0]
    assert torch.allclose(values, x / (0.25 + t**2).sqrt()[:, None, None])
    assert torch.allclose(level, t.clamp_min(0.003).log() / 4)
    assert label is not None
    assert label.tolist() == [1, 2, 3]


@pytest.mark.parametrize("readout", READOUTS, ids=lambda readout: readout.name)
def test_encode_is_finite_at_zero(readout: Readout) -> None:
    """Law: encoding happens at t = 0 and gives finite params, the signal and no gradient."""
    prediction = transformer_pipeline(readout).encode(observed(torch.randn(2, 1, 8)))
    assert prediction.t.tolist() == [0, 0]
    assert torch.isfinite(prediction.params["values"]).all()
    assert torch.isfinite(prediction.signal).all()
    assert not prediction.signal.requires_grad


def test_encode_is_deterministic() -> None:
    """Law: no noise is added when encoding."""
    pipeline, x = transformer_pipeline().eval(), observed(torch.randn(2, 1, 8))
    assert torch.equal(pipeline.encode(x).signal, pipeline.encode(x).signal)


@pytest.mark.parametrize("readout", READOUTS, ids=lambda readout: readout.name)
def test_signal_is_what_the_inr_shows_at_home(readout: Readout) -> None:
    """Law: asking a prediction for its own place gives its signal; another place gives another size."""
    pipeline, x = transformer_pipeline(readout), observed(torch.randn(2, 1, 8))
    prediction = pipeline(x, torch.tensor([0.0, 2.0]))
    assert torch.equal(prediction.at(x.where), prediction.signal)
    finer = prediction.at(Grid((16,)))
    assert finer.shape == (2, 1, 16)
    assert torch.equal(finer[:, :, ::2], prediction.signal)


def test_query_elsewhere() -> None:
    """The prediction is observed where the query is, with the query's share of x_t."""
    pipeline, support = transformer_pipeline(), observed(torch.randn(2, 1, 8))
    query = GridObservation(torch.randn(2, 1, 3), Grid((8,), torch.tensor([1, 4, 6])))
    t = torch.tensor([0.1, 0.1])
    here, there = pipeline(support, t), pipeline(support, t, query)
    assert there.observation.where is query.where
    assert torch.equal(there.signal, here.signal[:, :, [1, 4, 6]])
    assert torch.allclose(there.observation.values, 0.5 * (there.signal + query.values), atol=1e-6)


def test_rows_of_a_prediction() -> None:
    """Law: rows of a prediction are the prediction of the rows."""
    pipeline, x, t = transformer_pipeline(), torch.randn(3, 1, 8), torch.tensor([0.1, 1.0, 9.0])
    part = pipeline(observed(x), t).rows(slice(1, 3))
    expected = pipeline(observed(x[1:]), t[1:])
    assert torch.allclose(part.signal, expected.signal, atol=1e-5)
    assert torch.allclose(part.observation.values, expected.observation.values, atol=1e-5)
    assert torch.allclose(part.at(Grid((5,))), expected.at(Grid((5,))), atol=1e-5)
    assert torch.equal(part.t, t[1:])


def test_field_is_the_bound_function() -> None:
    """The field of a prediction carries all heads, as the transform sees it."""
    pipeline = transformer_pipeline(TwoHeadedReadout())
    prediction = pipeline(observed(torch.randn(2, 1, 8)), torch.tensor([0.1, 1.0]))
    assert prediction.field(torch.zeros(1, 5, 1)).shape == (2, 5, 2)


def test_gradients_reach_every_weight() -> None:
    """Law: a loss on the prediction trains every weight of the denoiser."""
    pipeline = transformer_pipeline(classes=3)
    x, label = observed(torch.randn(4, 1, 8)), torch.tensor([-1, 0, 1, 2])
    prediction = pipeline(x, torch.tensor([0.1, 0.4, 1.0, 9.0]), label=label)
    prediction.observation.values.square().sum().backward()
    for name, p in pipeline.named_parameters():
        assert p.grad is not None, name
        assert p.grad.abs().sum() > 0, name


def test_prediction_does_not_depend_on_the_scale_of_noise_schedule() -> None:
    """Law: the pipeline is a function of x_t and t alone: the same noisy values give the same answer."""
    pipeline, x, z = transformer_pipeline(), torch.randn(2, 1, 8), torch.randn(2, 1, 8)
    t = torch.tensor([0.5, 2.0])
    direct = pipeline(observed(x + t[:, None, None] * z), t)
    perturbed = pipeline(observed(x).perturb(z, t), t)
    assert torch.equal(direct.signal, perturbed.signal)


def test_a_denoiser_of_one_time_is_told_no_second() -> None:
    """One line; and to most denoisers a second level cannot be taught."""
    pipeline = linear_pipeline()
    with pytest.raises(UsageError, match="'until' is for a denoiser of two times"):
        pipeline(observed(torch.zeros(1, 1, 2)), torch.ones(1), until=torch.zeros(1))
    with pytest.raises(UsageError, match="`Linear` takes one noise level"):
        pipeline.denoiser.take_until()


def test_views_are_estimated_by_the_same_params() -> None:
    """The denoiser looks at the first view alone, once; each view is measured at its own place."""
    pipeline = linear_pipeline()
    first, other = observed(torch.randn(3, 1, 2)), observed(torch.randn(3, 1, 2))
    t = torch.ones(3)
    one, two = pipeline.estimate((first, other), t)
    assert isinstance(pipeline.denoiser, Linear)
    assert len(pipeline.denoiser.seen) == 1
    assert torch.equal(one.values, pipeline(first, t).observation.values)
    assert torch.equal(two.values, pipeline(first, t, other).observation.values)


def test_generation_leaves_no_graph() -> None:
    """Sampling keeps no gradients."""
    prediction = sample(transformer_pipeline(), observed(torch.zeros(2, 1, 8)), Draws(0, 2))
    assert not prediction.observation.values.requires_grad


def test_wrong_values_name_what_is_needed() -> None:
    """An observation of another shape than the model's is refused where it enters."""
    with pytest.raises(UsageError, match=r"needs values of shape \(1, 8\), got \(1, 6\)"):
        transformer_pipeline()(observed(torch.zeros(2, 1, 6)), torch.ones(2))


def test_same_seed_same_params() -> None:
    """Law: the same weights and the same noise give the same params, bit for bit."""

    def params() -> Tensor:
        return sample(transformer_pipeline(), observed(torch.zeros(2, 1, 8)), Draws(5, 2)).params["values"]

    assert torch.equal(params(), params())
