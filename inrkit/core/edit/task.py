"""Edits of signals by a consistency model that was not trained for them (arXiv:2303.01469, Algorithm 4).

Restore   keep what an operator says is known and invent the rest: inpainting, super-resolution, colorization, ...
Denoise   one pass at the level of noise that is in the signal
Stroke    a rough drawing becomes a signal like it: noise enough to hide the strokes, then sampling
"""

import abc
from collections.abc import Sequence
from typing import final

import attrs
import torch
from torch import Tensor

from inrkit.core.draws import Draws
from inrkit.core.edit.operator import Operator
from inrkit.core.observation import Observation
from inrkit.core.pipeline import Pipeline, Prediction
from inrkit.core.sample import check_times
from inrkit.errors import UsageError

_ROUNDS = 50  # of bringing the known part and the range together


class Edit(abc.ABC):
    """A way to change signals. Law: rows do not see each other, and equal draws give equal results."""

    @abc.abstractmethod
    def __call__(
        self, pipeline: Pipeline, observation: Observation, draws: Draws, label: Tensor | None = None
    ) -> Prediction:
        """The edited signals, one for each row.

        Returns:
            The INRs. The values of ``observation`` are the edited signal itself, which the INRs show as well as the
            pipeline encodes.
        """


def descending(first: float, last: float, count: int) -> tuple[float, ...]:
    """So many noise levels from the first to the last, evenly on a logarithmic scale."""
    if count < 1 or not first > last > 0:
        raise UsageError(f"noise levels descend from a first to a last (got {count} from {first} to {last})")
    return tuple(first * (last / first) ** (i / max(1, count - 1)) for i in range(count))


def _descend(instance: object, attribute: object, times: Sequence[float]) -> None:
    check_times(times)


@final
@attrs.frozen
class Restore(Edit):
    """What an operator measures stays, all else is invented (Algorithm 4 for any linear operator).

    At each noise level: x = f(x + sqrt(t² - t_min²) z, t), cut to [-1, 1]; then what is known is inserted again.

    Law: A of the result is A of the given values, whatever the pipeline does.

    Args:
        operator: A; what it measures of the given values is known, the rest of them is not used.
        times: Noise levels, noisiest first.
    """

    operator: Operator
    times: Sequence[float] = attrs.field(default=descending(80.0, 0.05, 20), validator=_descend)

    @torch.no_grad()
    def __call__(
        self, pipeline: Pipeline, observation: Observation, draws: Draws, label: Tensor | None = None
    ) -> Prediction:
        self.operator.check(tuple(observation.values.shape[1:]))
        known = self.operator.apply(observation.values)
        values = self.operator.pseudo_inverse(known)
        for t in self.times:
            values = _pass(pipeline, observation.with_values(values), t, draws, label).observation.values
            values = self.operator.project(values.clamp(-1, 1), known)
        # What an INR can show has less of the noise that the last f let through.
        values = pipeline.encode(observation.with_values(values), label).signal
        edited = observation.with_values(insert(self.operator, values, known))
        return attrs.evolve(pipeline.encode(edited, label), observation=edited)


def insert(operator: Operator, values: Tensor, known: Tensor) -> Tensor:
    """The values with what is known, and in the range of signals as far as that allows (projections onto both)."""
    values = operator.project(values.clamp(-1, 1), known)
    for _ in range(_ROUNDS):
        if values.abs().max() <= 1:
            break
        values = operator.project(values.clamp(-1, 1), known)
    return values


@final
@attrs.frozen
class Denoise(Edit):
    """f(x, σ) of signals that have white noise of standard deviation σ.

    Args:
        level: σ, on the scale of the values; None estimates it for each signal.
    """

    level: float | None = None

    @torch.no_grad()
    def __call__(
        self, pipeline: Pipeline, observation: Observation, draws: Draws, label: Tensor | None = None
    ) -> Prediction:
        values = observation.values
        level = noise_level(values) if self.level is None else values.new_full((len(values),), self.level)
        return _settled(pipeline, pipeline(observation, level, label=label), label)


@final
@attrs.frozen
class Encode(Edit):
    """No change: the signal of the INR."""

    @torch.no_grad()
    def __call__(
        self, pipeline: Pipeline, observation: Observation, draws: Draws, label: Tensor | None = None
    ) -> Prediction:
        prediction = pipeline.encode(observation, label)
        return attrs.evolve(prediction, observation=observation.with_values(prediction.signal))


@final
@attrs.frozen
class Stroke(Edit):
    """Sampling that starts from x + t z instead of pure noise, as in SDEdit (arXiv:2108.01073).

    Args:
        times: Noise levels, noisiest first; the first decides how much of the drawing stays.
    """

    times: Sequence[float] = attrs.field(default=descending(1.0, 1 / 16, 4), validator=_descend)

    @torch.no_grad()
    def __call__(
        self, pipeline: Pipeline, observation: Observation, draws: Draws, label: Tensor | None = None
    ) -> Prediction:
        for t in self.times:
            prediction = _pass(pipeline, observation, t, draws, label)
            observation = observation.with_values(prediction.observation.values.clamp(-1, 1))
        return _settled(pipeline, prediction, label)


def _pass(pipeline: Pipeline, observation: Observation, t: float, draws: Draws, label: Tensor | None) -> Prediction:
    """What comes of x + sqrt(t² - t_min²) z."""
    values = observation.values
    spread = max(t**2 - pipeline.preconditioning.t_min**2, 0.0) ** 0.5
    noisy = values + spread * draws.normal(*values.shape[1:]).to(values)
    level = torch.full((len(values),), float(t), device=values.device)
    return pipeline(observation.with_values(noisy), level, label=label)


def noise_level(values: Tensor) -> Tensor:
    """The standard deviation of white noise in values (B, C, *size), (B,).

    The differences of neighbours along all axes at once hold little of a signal and all of the noise; of their size the
    median is taken, which edges hardly move: σ = median |d| / .6745 (Donoho and Johnstone, 1994).
    """
    difference = values.float()
    for axis in range(2, values.ndim):
        if values.shape[axis] > 1:
            difference = difference.diff(dim=axis) / 2**0.5
    quartile: Tensor = torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor(0.75))
    return difference.flatten(1).abs().median(1).values / quartile


def _settled(pipeline: Pipeline, prediction: Prediction, label: Tensor | None) -> Prediction:
    """The signal of an INR as the edited one; where f is not what the INR shows, f is encoded."""
    if pipeline.readout.needs_reencoding:
        prediction = pipeline.encode(prediction.observation, label)
    return attrs.evolve(prediction, observation=prediction.observation.with_values(prediction.signal))
