"""Generation: noise in, INRs out, in one step, a few, or along the path of a diffusion model."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from inrkit.core.draws import Draws
from inrkit.core.guide import Guided
from inrkit.core.noise import T_MAX
from inrkit.core.observation import Observation
from inrkit.core.pipeline import Pipeline, Prediction
from inrkit.errors import UsageError

Sampler = Literal["consistency", "heun", "euler"]

_F = Callable[[Tensor, float], Tensor]  # (x_t, t) to f, all rows at one level


@torch.no_grad()
def sample(
    pipeline: Pipeline,
    template: Observation,
    draws: Draws,
    *,
    times: Sequence[float] = (T_MAX,),
    sampler: Sampler = "consistency",
    label: Tensor | None = None,
    guidance: float = 1.0,
    clamp: bool = False,
) -> Prediction:
    """One signal per row of the template, from f at each of ``times``, noisiest first.

    What is between two times depends on the sampler (`consistency_path`, `heun_path`, `euler_path`); the last f is the
    sample. Where it is not what the INR alone shows, it is encoded once more: after several steps with a read-out that
    lets much of x_t into f, and under guidance, which mixes two INRs.

    Args:
        template: Where a generated signal is observed; its values are not used.
        times: (80,) is one step, (80, .821) two.
        sampler: "consistency" for a consistency function, "heun" or "euler" for a diffusion model.
        label: The class of each row, (B,).
        guidance: 1 for the network itself; see `inrkit.core.guide`.
        clamp: Keep f within [-1, 1] between steps.
    """
    check_times(times)
    if sampler not in _PATHS:
        raise UsageError(f"no sampler named '{sampler}'; there are {', '.join(_PATHS)}")
    guided = Guided(pipeline, label, guidance)

    def predict(values: Tensor, t: float, answer: Callable[[Observation, Tensor], Prediction]) -> Prediction:
        return answer(template.with_values(values), torch.full((len(template),), float(t), device=values.device))

    def f(values: Tensor, t: float) -> Tensor:
        found = predict(values, t, guided).observation.values
        return found.clamp(-1, 1) if clamp else found

    def noise(scale: float) -> Tensor:
        return scale * draws.normal(*template.values.shape[1:]).to(template.values)

    values = _PATHS[sampler](f, noise, times, pipeline.preconditioning.t_min)
    # A path along an ODE ends at so little noise that guidance has nothing left to lead.
    last_is_guided = guidance != 1 and (sampler == "consistency" or len(times) == 1)
    prediction = predict(values, times[-1], guided if last_is_guided else Guided(pipeline, label))
    if last_is_guided or (len(times) > 1 and pipeline.readout.needs_reencoding):
        return pipeline.encode(prediction.observation, label)
    return prediction


def consistency_path(f: _F, noise: Callable[[float], Tensor], times: Sequence[float], t_min: float) -> Tensor:
    """x at the last time; between two times x = f + sqrt(t² - t_min²) z (Consistency Models, Algorithm 1)."""
    x = noise(times[0])
    for t, r in itertools.pairwise(times):
        x = f(x, t) + noise(math.sqrt(max(r**2 - t_min**2, 0.0)))
    return x


def heun_path(f: _F, noise: Callable[[float], Tensor], times: Sequence[float], t_min: float) -> Tensor:
    """x at the last time, along dx/dt = (x - f(x, t)) / t by Heun's method (EDM, Algorithm 1)."""
    x = noise(times[0])
    for t, r in itertools.pairwise(times):
        slope = (x - f(x, t)) / t
        ahead = x + (r - t) * slope
        x = x + (r - t) * (slope + (ahead - f(ahead, r)) / r) / 2
    return x


def euler_path(f: _F, noise: Callable[[float], Tensor], times: Sequence[float], t_min: float) -> Tensor:
    """x at the last time, along the same ODE by Euler's method, with one pass a step (DDIM)."""
    x = noise(times[0])
    for t, r in itertools.pairwise(times):
        x = x + (r - t) / t * (x - f(x, t))
    return x


_PATHS: Mapping[str, Callable[[_F, Callable[[float], Tensor], Sequence[float], float], Tensor]] = {
    "consistency": consistency_path,
    "heun": heun_path,
    "euler": euler_path,
}
SAMPLERS = tuple(_PATHS)


def check_times(times: Sequence[float]) -> None:
    """Noise levels that a path can go through."""
    if (
        not times
        or not all(math.isfinite(t) for t in times)
        or any(b >= a for a, b in itertools.pairwise(times))
        or times[-1] <= 0
    ):
        raise UsageError(f"'times' must be positive and descend, noisiest first (got {tuple(times)})")


def passes_of(sampler: Sampler, steps: int) -> int:
    """How often the network is asked for one sample, without guidance."""
    return 2 * steps - 1 if sampler == "heun" else steps
