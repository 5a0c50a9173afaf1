"""From one signal to another by way of signals."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from inrkit.core.draws import Draws
from inrkit.core.inr import Params
from inrkit.core.observation import Observation
from inrkit.core.pipeline import Pipeline, Prediction
from inrkit.errors import UsageError


@torch.no_grad()
def interpolate(
    pipeline: Pipeline,
    ends: Observation,
    steps: int,
    draws: Draws | None = None,
    *,
    level: float | None = None,
    label: Tensor | None = None,
) -> Prediction:
    """``steps`` signals from the first of two to the second, both ends among them.

    Args:
        ends: Two rows.
        draws: Of two rows, for the noise; its first row serves both ends. Needed with ``level``.
        level: None mixes the params of their encodes along a straight line. A noise level mixes the signals, adds the
            same noise to all, and lets the denoiser make signals of them: the greater, the freer.
    """
    if len(ends) != 2 or steps < 2:
        raise UsageError(f"two signals and at least 2 steps are needed (got {len(ends)} and {steps})")
    share = torch.linspace(0, 1, steps, device=ends.values.device)
    place = ends.rows(torch.zeros(steps, dtype=torch.int64, device=share.device))
    if level is None:
        encoded = pipeline.encode(ends, label)
        params = {name: _mixed(value, share) for name, value in encoded.params.items()}
        t = encoded.t[:1].expand(steps)
        return _shown(params, t, place, pipeline)
    if draws is None or level <= 0:
        raise UsageError(f"'level' must be > 0, and needs 'draws' (got {level})")
    noise = draws.normal(*ends.values.shape[1:])[:1].to(ends.values)
    noisy = place.with_values(_mixed(ends.values, share) + level * noise)
    labels = None if label is None else label[(share > 0.5).long()]
    prediction = pipeline(noisy, torch.full((steps,), float(level), device=share.device), label=labels)
    if pipeline.readout.needs_reencoding:
        prediction = pipeline.encode(prediction.observation, labels)
    return _shown(prediction.params, prediction.t, place, pipeline)


def _shown(params: Params, t: Tensor, place: Observation, pipeline: Pipeline) -> Prediction:
    """The signals themselves as the prediction, not what noise would be left of them in f."""
    signal = pipeline.show(params, place.where, t)
    return Prediction(params, t, place.with_values(signal), signal, pipeline)


def _mixed(ends: Tensor, share: Tensor) -> Tensor:
    """(2, ...) and (S,) to (S, ...)"""
    return torch.lerp(ends[:1], ends[1:], share.reshape(-1, *[1] * (ends.ndim - 1)))


def noise_between(draws: Draws, steps: int, like: Tensor) -> Tensor:
    """The noise of ``steps`` signals such as ``like`` (B, ...), from one to another on the sphere that noise lies on.

    ``draws`` are of two rows.
    """
    if steps < 2:
        raise UsageError(f"at least 2 steps are needed, both ends among them (got {steps})")
    first, last = draws.normal(*like.shape[1:]).to(like)
    return torch.stack([slerp(first, last, i / (steps - 1)) for i in range(steps)])


def slerp(a: Tensor, b: Tensor, share: float) -> Tensor:
    """The point between two noises at this share of the angle: sin((1-s)ω)/sin ω a + sin(sω)/sin ω b."""
    cosine = float(F.cosine_similarity(a.flatten(), b.flatten(), dim=0).clamp(-1, 1))
    angle = math.acos(cosine)
    if math.sin(angle) < 1e-6:
        return torch.lerp(a, b, share)
    return (math.sin((1 - share) * angle) * a + math.sin(share * angle) * b) / math.sin(angle)
