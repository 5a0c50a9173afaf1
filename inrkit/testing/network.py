"""From observations to params, and back to values: at the query, at other places, as pictures, as surfaces."""

import torch

from inrkit.core.draws import Draws, seed_of
from inrkit.core.noise import READOUTS, make_readout
from inrkit.core.observation import Batch
from inrkit.core.pipeline import Pipeline, Prediction
from inrkit.errors import UsageError
from inrkit.testing.check import (
    NotAskedError,
    UnmetError,
    check,
    expect,
    expect_alike,
    expect_finite,
    expect_float32,
    expect_shape,
    refused,
)
from inrkit.testing.subject import Subject


def predict(pipeline: Pipeline, batch: Batch, level: float) -> Prediction:
    """What a step of training predicts: support and query equally noisy."""
    t = torch.full((len(batch),), level)
    noise, query_noise = batch.noise(Draws(seed_of("network"), len(batch)))
    return pipeline(batch.support.perturb(noise, t), t, batch.query.perturb(query_noise, t), batch.label)


@check
def param_shapes_are_honest(subject: Subject) -> None:
    """The denoiser writes exactly the params that the function declares, in fp32, for each row."""
    pipeline, batch = subject.pipeline, subject.batch
    declared = dict(pipeline.function.param_shapes)
    params = pipeline.params(batch.support, torch.full((subject.rows,), 0.5), batch.label)
    expect(set(params) == set(declared), f"expected params {sorted(declared)}, found {sorted(params)}")
    for name, value in params.items():
        expect_shape(value, (subject.rows, *declared[name]), f"param '{name}'")
        expect(value.dtype == torch.float32, f"param '{name}': expected float32, found {value.dtype}")


@check
def predictions_are_like_the_query(subject: Subject) -> None:
    """What is predicted has the shape of what is asked for, in training and in evaluation."""
    for training in (True, False):
        batch = subject.observe(training=training)
        prediction = predict(subject.pipeline, batch, 0.5)
        expect_shape(prediction.observation.values, batch.query.values.shape, "observation")
        expect_shape(prediction.signal, batch.query.values.shape, "signal")


@check
def every_noise_level_is_finite(subject: Subject) -> None:
    """Params and predictions are finite at every noise level, none included."""
    for t in (0.0, 0.003, 0.5, 80.0):
        prediction = predict(subject.pipeline, subject.batch, t)
        for name, value in prediction.params.items():
            expect_finite(value, f"param '{name}' at t = {t:g}")
        expect_finite(prediction.observation.values, f"the prediction at t = {t:g}")


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
        (predict(pipeline, batch, t).signal - batch.query.values).square().mean().backward()
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
        prediction = predict(subject.pipeline, subject.batch, 0.5)
    for name, value in [*prediction.params.items(), ("prediction", prediction.observation.values)]:
        expect_float32(value, f"{name} under autocast")


@check
def readouts_agree(subject: Subject) -> None:
    """Each read-out builds, shows a signal of the query's shape, and keeps f(x, 0) = x."""
    batch, clean = subject.batch, torch.zeros(subject.rows)
    for name in READOUTS:
        pipeline = subject.build(make_readout(name, sigma_data=subject.readout.sigma_data)).requires_grad_(False)
        prediction = pipeline(batch.support, clean, batch.query, batch.label)
        expect_shape(prediction.signal, batch.query.values.shape, f"read-out '{name}': signal")
        expect_alike(prediction.observation.values, batch.query.values, f"read-out '{name}': f(x, 0)", 1e-4)


@check
def signals_are_shown_where_training_was(subject: Subject) -> None:
    """An empty request means a place, the same each time, at which every signal can be measured."""
    for request in ({}, dict(subject.modality.display.preview)):
        places = subject.modality.display.places(request)
        expect(len(places) > 0, f"request {request}: expected a place, found none")
        shown = [subject.show(where) for where in places]
        again = [subject.show(where) for where in subject.modality.display.places(request)]
        for one, other in zip(shown, again, strict=True):
            expect(one.ndim >= 3 and len(one) == subject.rows, f"expected (B, C, ...), found {tuple(one.shape)}")
            expect_finite(one, f"the signal at {request}")
            expect_alike(other, one, f"the signal at {request}, shown twice", 1e-5)


@check
def signals_are_shown_elsewhere(subject: Subject) -> None:
    """A signal can be measured at a place other than that of training."""
    try:
        places = subject.modality.display.places(subject.request)
    except UsageError as error:
        raise UnmetError(f"request {subject.request}: {error}; give a 'request' that the modality knows") from error
    usual = [tuple(subject.show(where).shape) for where in subject.modality.display.places({})]
    shown = [subject.show(where) for where in places]
    shapes = [tuple(values.shape) for values in shown]
    for values in shown:
        expect_finite(values, f"the signal at {subject.request}")
    expect(shapes != usual, f"request {subject.request}: expected another place than that of training, found {shapes}")


@check
def unknown_requests_are_refused(subject: Subject) -> None:
    """A request for something that the modality does not know is the user's mistake."""
    for request in ({"surely-not": "1"}, {next(iter(subject.request), "size"): "surely not"}):
        with refused(f"request {request}", UsageError, "`UsageError`"):
            subject.modality.display.places(request)


@check
def showing_without_gradients_is_the_same(subject: Subject) -> None:
    """In chunks, as without gradients, the same is measured as at once, as in training."""
    where = subject.modality.display.places({})[0]
    with torch.enable_grad():
        at_once = subject.show(where).detach()
    with torch.no_grad():
        expect_alike(subject.show(where), at_once, "the signal measured without gradients", 1e-4)


@check
def params_have_gradients(subject: Subject) -> None:
    """What is shown can be differentiated by the params."""
    wanted = {name: value.detach().clone().requires_grad_() for name, value in subject.encoded.params.items()}
    subject.pipeline.show(wanted, subject.batch.query.where, subject.encoded.t).square().mean().backward()
    missing = [name for name, value in wanted.items() if value.grad is None or not value.grad.isfinite().all()]
    expect(not missing, f"expected finite gradients by the params, found none by {', '.join(missing)}")


@check
def there_are_pictures_for_reports(subject: Subject) -> None:
    """Observed, encoded and generated signals give pictures (B, 3, H, W) in [0, 1], whatever their values."""
    shown = subject.show(subject.modality.display.places(subject.modality.display.preview)[0])
    for what, values in (("support", subject.batch.support.values), ("shown", shown), ("wild", shown * 1e3)):
        pictures = subject.modality.display.pictures(values)
        shape = tuple(pictures.shape)
        expect(len(shape) == 4 and shape[:2] == (len(values), 3), f"{what}: expected (B, 3, H, W), found {shape}")
        expect(min(shape[2:]) > 0, f"{what}: expected a picture, found {shape}")
        expect_finite(pictures, f"pictures of {what}")
        low, high = float(pictures.min()), float(pictures.max())
        expect(low >= 0 and high <= 1, f"{what}: expected pictures in [0, 1], found from {low:.3g} to {high:.3g}")


@check
def truth_is_what_was_observed(subject: Subject) -> None:
    """Where signals are known at any place, they are there what is observed."""
    where = subject.batch.query.where
    truth = subject.modality.display.truth(subject.source(), list(range(subject.rows)), where)
    if truth is None:
        raise NotAskedError("nobody knows the signals at other places")
    seen = subject.batch.query.values
    expect_shape(truth, seen.shape, "the truth")
    error, spread = float((truth - seen).square().mean()), float(seen.var())
    expect(error <= 0.05 * spread, f"expected what is observed, found a mean squared error of {error:.3g}")


@check
def surfaces_are_measured(subject: Subject) -> None:
    """A solid has a box, and a value at each point of it."""
    surface = subject.modality.display.surface(subject.pipeline.measure, subject.encoded.rows(slice(0, 1)).params)
    if surface is None:
        raise NotAskedError("signals have no surface")
    low, high = torch.tensor(surface.low), torch.tensor(surface.high)
    expect(low.shape == (3,) and bool((low < high).all()), f"expected a box, found {surface.low} to {surface.high}")
    points = low + (high - low) * torch.rand(7, 3, generator=torch.Generator().manual_seed(0))
    value = surface.value(points)
    expect_shape(value, (7,), "values of 7 points")
    expect_finite(value, "the value whose level is the surface")
