"""From observations to params and back to values."""

from collections.abc import Iterator

import torch
from torch import Tensor

from inrkit.core.draws import Draws, seed_of
from inrkit.core.noise import make_readout
from inrkit.core.observation import Batch
from inrkit.core.pipeline import Pipeline, Prediction
from inrkit.testing.check import check, expect, expect_alike, expect_finite
from inrkit.testing.subject import Subject


def predict(subject: Subject, pipeline: Pipeline, batch: Batch, t: Tensor) -> Prediction:
    """What a step of training predicts: support and query equally noisy."""
    noise, query_noise = batch.noise(Draws(seed_of("network"), len(batch)))
    support, query = batch.support.perturb(noise, t), batch.query.perturb(query_noise, t)
    return pipeline(support, t, query, batch.label)


@check
def param_shapes_are_honest(subject: Subject) -> None:
    """The denoiser writes exactly the params that the function declares, in fp32, for each row."""
    pipeline, batch = subject.pipeline, subject.batch
    declared = dict(pipeline.function.param_shapes)
    params = pipeline.params(batch.support, torch.full((subject.rows,), 0.5), batch.label)
    expect(set(params) == set(declared), f"expected params {sorted(declared)}, found {sorted(params)}")
    for name, value in params.items():
        wanted = (subject.rows, *declared[name])
        expect(tuple(value.shape) == wanted, f"param '{name}': expected {wanted}, found {tuple(value.shape)}")
        expect(value.dtype == torch.float32, f"param '{name}': expected float32, found {value.dtype}")


@check
def predictions_are_like_the_query(subject: Subject) -> None:
    """What is predicted has the shape of what is asked for, in training and in evaluation."""
    for training in (True, False):
        batch = subject.observe(training=training)
        prediction = predict(subject, subject.pipeline, batch, torch.full((subject.rows,), 0.5))
        wanted = tuple(batch.query.values.shape)
        for what, values in (("observation", prediction.observation.values), ("signal", prediction.signal)):
            expect(tuple(values.shape) == wanted, f"{what}: expected {wanted}, found {tuple(values.shape)}")


@check
def every_noise_level_is_finite(subject: Subject) -> None:
    """Params and predictions are finite at every noise level, none included."""
    for t in subject.levels():
        prediction = predict(subject, subject.pipeline, subject.batch, t)
        for name, value in prediction.params.items():
            expect_finite(value, f"param '{name}' at t = {float(t[0]):g}")
        expect_finite(prediction.observation.values, f"the prediction at t = {float(t[0]):g}")


@check
def encoding_is_finite_and_repeatable(subject: Subject) -> None:
    """Encoding a clean observation, at t = 0, gives finite params and a finite signal, the same ones twice."""
    one, two = (subject.pipeline.encode(subject.batch.support, subject.batch.label) for _ in range(2))
    for name, value in one.params.items():
        expect_finite(value, f"param '{name}' at t = 0")
        expect_alike(two.params[name], value, f"param '{name}', encoded twice", 0.0)
    expect_finite(one.signal, "the encoded signal")


@check
def rows_are_independent(subject: Subject) -> None:
    """A signal's params and prediction are the same whichever signals stand beside it."""
    batch, t = subject.batch, torch.full((subject.rows,), 0.5)
    whole = subject.pipeline(batch.support, t, batch.query, batch.label)
    one = batch.rows(slice(0, 1))
    alone = subject.pipeline(one.support, t[:1], one.query, one.label)
    for name, value in alone.params.items():
        expect_alike(value, whole.params[name][:1], f"param '{name}', alone and beside others")
    expect_alike(alone.signal, whole.signal[:1], "the signal, alone and beside others", 1e-3)


@check
def gradients_reach_every_parameter(subject: Subject) -> None:
    """A step of training has a gradient for each parameter of the denoiser and of the function."""
    pipeline = subject.build().train()
    batch = subject.observe(training=True)
    for t in (0.5, 5.0):
        prediction = predict(subject, pipeline, batch, torch.full((subject.rows,), t))
        (prediction.signal - batch.query.values).square().mean().backward()
    missing = [name for name, p in pipeline.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    expect(not missing, f"expected gradients for all parameters, found none for {', '.join(missing[:5])}")
    bad = [name for name, p in pipeline.named_parameters() if p.grad is not None and not p.grad.isfinite().all()]
    expect(not bad, f"expected finite gradients, found others for {', '.join(bad[:5])}")


@check
def equal_seeds_build_equal_networks(subject: Subject) -> None:
    """With torch's generator seeded alike, building gives the same weights; with another seed, others."""
    one, two, other = (dict(subject.build(seed=seed, spread=0.0).state_dict()) for seed in (1, 1, 2))
    for name, value in one.items():
        expect_alike(two[name].double(), value.double(), f"weight '{name}', built twice with one seed", 0.0)
    expect(any(not torch.equal(other[name], value) for name, value in one.items()), "expected chance in the weights")


@check
def half_precision_gives_whole_results(subject: Subject) -> None:
    """Under bf16 autocast params and predictions are finite fp32."""
    with torch.autocast("cpu", torch.bfloat16):
        prediction = predict(subject, subject.pipeline, subject.batch, torch.full((subject.rows,), 0.5))
    for name, value in [*prediction.params.items(), ("prediction", prediction.observation.values)]:
        expect(value.dtype == torch.float32, f"{name}: expected float32 under autocast, found {value.dtype}")
        expect_finite(value, f"{name} under autocast")


@check
def readouts_agree(subject: Subject) -> None:
    """Each read-out builds, shows a signal of the query's shape, and keeps f(x, 0) = x."""
    batch, clean = subject.batch, torch.zeros(subject.rows)
    for readout in (make_readout(name, sigma_data=subject.readout.sigma_data) for name in _readouts(subject)):
        pipeline = subject.build(readout).requires_grad_(False)
        prediction = pipeline(batch.support, clean, batch.query, batch.label)
        wanted = tuple(batch.query.values.shape)
        found = tuple(prediction.signal.shape)
        expect(found == wanted, f"read-out '{readout.name}': expected a signal {wanted}, found {found}")
        expect_alike(prediction.observation.values, batch.query.values, f"read-out '{readout.name}': f(x, 0)", 1e-4)


def _readouts(subject: Subject) -> Iterator[str]:
    yield from ("direct", "two-headed", "literal")
