"""Showing signals: at other places, as pictures, as surfaces."""

import torch

from inrkit.errors import UsageError
from inrkit.testing.check import NotAskedError, UnmetError, check, expect, expect_alike, expect_finite
from inrkit.testing.subject import Subject


@check
def signals_are_shown_where_training_was(subject: Subject) -> None:
    """An empty request means a place, the same each time, at which every signal can be measured."""
    params, t = _encoded(subject)
    for request in ({}, dict(subject.modality.display.preview)):
        places = subject.modality.display.places(request)
        expect(len(places) > 0, f"request {request}: expected a place, found none")
        shown = [subject.pipeline.show(params, where, t) for where in places]
        again = [subject.pipeline.show(params, where, t) for where in subject.modality.display.places(request)]
        for one, other in zip(shown, again, strict=True):
            expect(one.ndim >= 3 and len(one) == subject.rows, f"expected (B, C, ...), found {tuple(one.shape)}")
            expect_finite(one, f"the signal at {request}")
            expect_alike(other, one, f"the signal at {request}, shown twice", 1e-5)


@check
def signals_are_shown_elsewhere(subject: Subject) -> None:
    """A signal can be measured at a place other than that of training."""
    params, t = _encoded(subject)
    try:
        places = subject.modality.display.places(subject.request)
    except UsageError as error:
        raise UnmetError(
            f"request {subject.request}: {error}; give the check a 'request' that the modality knows"
        ) from error
    usual = [tuple(subject.pipeline.show(params, where, t).shape) for where in subject.modality.display.places({})]
    shapes = []
    for where in places:
        shown = subject.pipeline.show(params, where, t)
        expect_finite(shown, f"the signal at {subject.request}")
        shapes.append(tuple(shown.shape))
    expect(shapes != usual, f"request {subject.request}: expected another place than that of training, found {shapes}")


@check
def unknown_requests_are_refused(subject: Subject) -> None:
    """A request for something that the modality does not know is the user's mistake."""
    for request in ({"surely-not": "1"}, {next(iter(subject.request), "size"): "surely not"}):
        try:
            subject.modality.display.places(request)
        except UsageError:
            continue
        except Exception as error:
            raise UnmetError(f"request {request}: expected `UsageError`, found {error!r}") from error
        raise UnmetError(f"request {request}: expected `UsageError`, found that it was accepted")


@check
def showing_without_gradients_is_the_same(subject: Subject) -> None:
    """In chunks, as without gradients, the same is measured as at once, as in training."""
    params, t = _encoded(subject)
    where = subject.modality.display.places({})[0]
    with torch.enable_grad():
        at_once = subject.pipeline.show(params, where, t)
    with torch.no_grad():
        in_chunks = subject.pipeline.show(params, where, t)
    expect_alike(in_chunks, at_once.detach(), "the signal measured without gradients", 1e-4)


@check
def params_have_gradients(subject: Subject) -> None:
    """What is shown can be differentiated by the params."""
    params, t = _encoded(subject)
    wanted = {name: value.detach().clone().requires_grad_() for name, value in params.items()}
    shown = subject.pipeline.show(wanted, subject.batch.query.where, t)
    shown.square().mean().backward()
    missing = [name for name, value in wanted.items() if value.grad is None or not value.grad.isfinite().all()]
    expect(not missing, f"expected finite gradients by the params, found none by {', '.join(missing)}")


@check
def there_are_pictures_for_reports(subject: Subject) -> None:
    """Observed, encoded and generated signals give pictures (B, 3, H, W) in [0, 1], whatever their values."""
    params, t = _encoded(subject)
    shown = subject.pipeline.show(params, subject.modality.display.places(subject.modality.display.preview)[0], t)
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
    expect(truth.shape == seen.shape, f"expected {tuple(seen.shape)}, found {tuple(truth.shape)}")
    error, spread = float((truth - seen).square().mean()), float(seen.var())
    expect(error <= 0.05 * spread, f"expected what is observed, found a mean squared error of {error:.3g}")


@check
def surfaces_are_measured(subject: Subject) -> None:
    """A solid has a box, and a value at each point of it."""
    params, _ = _encoded(subject)
    surface = subject.modality.display.surface(
        subject.pipeline.measure, {name: value[:1] for name, value in params.items()}
    )
    if surface is None:
        raise NotAskedError("signals have no surface")
    low, high = torch.tensor(surface.low), torch.tensor(surface.high)
    expect(low.shape == (3,) and bool((low < high).all()), f"expected a box, found {surface.low} to {surface.high}")
    points = low + (high - low) * torch.rand(7, 3, generator=torch.Generator().manual_seed(0))
    value = surface.value(points)
    expect(tuple(value.shape) == (7,), f"expected a number for each of 7 points, found {tuple(value.shape)}")
    expect_finite(value, "the value whose level is the surface")


def _encoded(subject: Subject) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    prediction = subject.pipeline.encode(subject.batch.support, subject.batch.label)
    return dict(prediction.params), prediction.t
