"""Generation: noise in, INRs out, in one step, a few, or along the ODE of a diffusion model.

A `Sampler` says at which noise levels, and how to get from one to the next. Plugins offer final subclasses by name
(`register_samplers`).
"""

import abc
import functools
import itertools
import math
from collections.abc import Sequence
from typing import ClassVar, final

import attrs
import torch
from torch import Tensor

from inrkit.core.draws import Draws
from inrkit.core.guide import Guided
from inrkit.core.karras import karras_levels
from inrkit.core.noise import T_MAX
from inrkit.core.observation import Observation
from inrkit.core.ode import euler, heun
from inrkit.core.pipeline import Pipeline, Prediction
from inrkit.errors import PluginError, UsageError

MIDDLE = 30.0
"""The second of two steps of a consistency function, where none was searched. Such a run is short, and the best that a
second step can do is to see the first one's layout, and no more."""
LAST = 0.25
"""The last of more than two."""
ODE_STEPS, ODE_LAST = 18, 0.02


class Sampler(abc.ABC):
    """A way from noise to a signal; it is made without arguments where it is asked for by name."""

    name: ClassVar[str]
    few_steps: ClassVar[bool] = False
    """Whether one and two steps give good samples. Reports show both; the middle level can be searched."""
    ends_clean: ClassVar[bool] = False
    """Whether several steps end at so little noise that f is what came in; the sample is then encoded once more."""

    def times(self, steps: int | None = None, middle: float = MIDDLE) -> tuple[float, ...]:
        """The noise levels of so many steps, noisiest first; by default, of as many as it takes.

        Unless a sampler has its own, 80 alone, 80 and the middle level, or more, evenly on a log scale from 80 to .25.

        Args:
            middle: The second level of two steps, where there is one to choose.
        """
        steps = _checked(1 if steps is None else steps)
        last = middle if steps == 2 else LAST
        return tuple(T_MAX * (last / T_MAX) ** (i / max(1, steps - 1)) for i in range(steps))

    @abc.abstractmethod
    def step(self, f: Guided, noisy: Observation, t: float, r: float, draws: Draws) -> Observation:
        """From x at t to x at the next level r < t.

        Args:
            f: Of the model: ``(x,) = f((noisy,), t)``, and ``f((noisy,), t, r)`` for a model of two times.
            draws: Chance for these rows.
        """

    def passes(self, steps: int) -> int:
        """How often the network is asked for one sample of so many steps, without guidance."""
        return steps + (self.ends_clean and steps > 1)


@final
@attrs.frozen
class ConsistencySampler(Sampler):
    """x_r = f(x, t) + sqrt(r² - t_min²) z, for a consistency model (arXiv:2303.01469, Algorithm 1)."""

    name = "consistency"
    few_steps = True

    def step(self, f: Guided, noisy: Observation, t: float, r: float, draws: Draws) -> Observation:
        (clean,) = f((noisy,), t)
        noise = draws.normal(*clean.values.shape[1:]).to(clean.values)
        return clean.with_values(clean.values + math.sqrt(max(r**2 - f.t_min**2, 0.0)) * noise)


class ODESampler(Sampler):
    """A way along the ODE of a diffusion model."""

    ends_clean = True

    def times(self, steps: int | None = None, middle: float = MIDDLE) -> tuple[float, ...]:
        """Karras' levels from 80 to .02, 18 of them unless said otherwise; a single one is 80."""
        steps = _checked(ODE_STEPS if steps is None else steps)
        return (T_MAX,) if steps == 1 else tuple(karras_levels(steps, ODE_LAST, T_MAX).tolist())


@final
@attrs.frozen
class HeunSampler(ODESampler):
    """Heun's method along the ODE of a diffusion model (EDM, arXiv:2206.00364, Algorithm 1)."""

    name = "heun"

    def step(self, f: Guided, noisy: Observation, t: float, r: float, draws: Draws) -> Observation:
        return heun(f, (noisy,), t, r)[0]

    def passes(self, steps: int) -> int:
        return 2 * steps if steps > 1 else 1


@final
@attrs.frozen
class EulerSampler(ODESampler):
    """Euler's method along the same ODE, with one pass a step (DDIM)."""

    name = "euler"

    def step(self, f: Guided, noisy: Observation, t: float, r: float, draws: Draws) -> Observation:
        return euler(f, (noisy,), t, r)[0]


def _checked(steps: int) -> int:
    if steps < 1:
        raise UsageError(f"'steps' must be at least 1 (got {steps})")
    return steps


@torch.no_grad()
def sample(
    pipeline: Pipeline,
    template: Observation,
    draws: Draws,
    *,
    times: Sequence[float] = (T_MAX,),
    sampler: Sampler | None = None,
    label: Tensor | None = None,
    guidance: float = 1.0,
    clamp: bool = False,
    noise: Tensor | None = None,
) -> Prediction:
    """One signal per row of the template, from f at each of ``times``, noisiest first; the last f is the sample.

    Where it is not what the INR alone shows, it is encoded once more: after several steps with a read-out that lets
    much of x_t into f or along an ODE, and under guidance, which mixes two INRs.

    Args:
        template: Where a generated signal is observed; its values are not used.
        times: (80,) is one step, (80, .821) two.
        sampler: What is between two times; by default that of a consistency function.
        label: The class of each row, (B,).
        guidance: 1 for the network itself; see `inrkit.core.guide`. A network that learned to be told a scale is told
            this one, and asked once a step as without guidance.
        clamp: Keep f within [-1, 1] between steps.
        noise: Of unit variance, at the first level; by default it is drawn.
    """
    check_times(times)
    sampler = ConsistencySampler() if sampler is None else sampler
    estimate, told = pipeline.estimate, _told(pipeline, guidance, len(template), template.values.device)
    if told is not None:
        estimate, guidance = functools.partial(pipeline.estimate, guidance=told), 1.0
    f = Guided(estimate, label, guidance, clamp=clamp, t_min=pipeline.preconditioning.t_min)
    noise = draws.normal(*template.values.shape[1:]) if noise is None else noise
    noisy = template.with_values(times[0] * noise.to(template.values))
    for t, r in itertools.pairwise(times):
        noisy = sampler.step(f, noisy, t, r, draws)
        if not isinstance(noisy, Observation):
            place = f"{type(sampler).__module__}.{type(sampler).__name__}"
            raise PluginError(f"sampler '{sampler.name}': `{place}.step` must return an observation (got {noisy!r})")
    # A path along an ODE ends at so little noise that guidance has nothing left to lead.
    if guidance != 1 and (sampler.few_steps or len(times) == 1):
        (guided,) = attrs.evolve(f, clamp=False)((noisy,), times[-1])
        return pipeline.encode(guided, label)
    level = torch.full((len(template),), float(times[-1]), device=noisy.values.device)
    prediction = pipeline(noisy, level, label=label, guidance=told)
    if len(times) > 1 and (sampler.ends_clean or pipeline.readout.needs_reencoding):
        return pipeline.encode(prediction.observation, label)
    return prediction


def _told(pipeline: Pipeline, guidance: float, rows: int, device: torch.device) -> Tensor | None:
    """The scale that the network is told, (B,), if it learned that; 1 stands for the nearest one that it knows."""
    if pipeline.denoiser.guidance_range is None:
        return None
    low, high = pipeline.denoiser.guidance_range
    if guidance != 1 and not low <= guidance <= high:
        raise UsageError(f"'guidance' must be from {low:g} to {high:g}, which the network learned (got {guidance:g})")
    return torch.full((rows,), float(min(max(guidance, low), high)), device=device)


def check_times(times: Sequence[float]) -> None:
    """Noise levels that a path can go through."""
    if (
        not times
        or not all(math.isfinite(t) for t in times)
        or any(b >= a for a, b in itertools.pairwise(times))
        or times[-1] <= 0
    ):
        raise UsageError(f"'times' must be positive and descend, noisiest first (got {tuple(times)})")
