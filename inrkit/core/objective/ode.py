"""One step along the ODE that a diffusion model defines: dx/dt = (x - D(x, t)) / t.

A signal may be observed twice, where the network looks (support) and where the loss does (query); both are moved, by
the same params.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from inrkit.core.guide import NO_CLASS
from inrkit.core.observation import Observation, expand
from inrkit.core.pipeline import Pipeline
from inrkit.errors import UsageError

Pair = tuple[Observation, Observation]
"""Support and query of the same signals, equally noisy."""

Denoise = Callable[[Pair, Tensor, Tensor | None], Pair]
"""(noisy pair, t, label) to the pair that is expected behind the noise, D(x, t)."""

Move = Callable[[Pair, Tensor, Tensor, Tensor | None], Pair]
"""(noisy pair, t, r, label) to the pair at r."""


def denoise(pipeline: Pipeline, pair: Pair, t: Tensor, label: Tensor | None) -> Pair:
    """D(x, t) of a pipeline that was trained with `Diffusion`: one pass of its denoiser for both observations."""
    support, query = pair
    params = pipeline.params(support, t, label)
    expected = pipeline.predict(params, t, support).observation
    return expected, expected if query is support else pipeline.predict(params, t, query).observation


def guided(model: Denoise, weight: float) -> Denoise:
    """Guidance as in `inrkit.core.guide`: D(x, t, none) + w (D(x, t, label) - D(x, t, none)); w = 1: the model itself.

    Latent consistency models count from there: their w is ours less one.
    """
    if weight == 1:
        return model

    def both(pair: Pair, t: Tensor, label: Tensor | None) -> Pair:
        if label is None:
            raise UsageError(
                "'guidance' needs labels, the signals have none; leave it at 1, or give the modality classes"
            )
        found, free = model(pair, t, label), model(pair, t, torch.full_like(label, NO_CLASS))
        pairs = zip(free, found, strict=True)
        support, query = (a.with_values(torch.lerp(a.values, b.values, weight)) for a, b in pairs)
        return support, query

    return both


def euler(model: Denoise) -> Move:
    """x_r = x + (r - t) d, with the slope d at t."""

    def move(pair: Pair, t: Tensor, r: Tensor, label: Tensor | None) -> Pair:
        return _shifted(pair, r - t, _slopes(pair, model(pair, t, label), t))

    return move


def heun(model: Denoise) -> Move:
    """x_r = x + (r - t) (d + d') / 2, with d' the slope at r where Euler's step ends; r > 0."""

    def move(pair: Pair, t: Tensor, r: Tensor, label: Tensor | None) -> Pair:
        first = _slopes(pair, model(pair, t, label), t)
        ahead = _shifted(pair, r - t, first)
        second = _slopes(ahead, model(ahead, r, label), r)
        return _shifted(pair, r - t, [(a + b) / 2 for a, b in zip(first, second, strict=True)])

    return move


SOLVERS = {"heun": heun, "euler": euler}


def _slopes(pair: Pair, expected: Pair, t: Tensor) -> list[Tensor]:
    return [(x.values - d.values) / expand(t, x.values) for x, d in zip(pair, expected, strict=True)]


def _shifted(pair: Pair, by: Tensor, slopes: list[Tensor]) -> Pair:
    support, query = (
        x.with_values(x.values + expand(by, x.values) * slope) for x, slope in zip(pair, slopes, strict=True)
    )
    return support, query
