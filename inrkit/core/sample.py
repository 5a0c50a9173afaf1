"""Generation: noise in, INRs out, in one step or a few."""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from inrkit.core.draws import Draws
from inrkit.core.noise import T_MAX
from inrkit.core.observation import Observation
from inrkit.core.pipeline import Pipeline, Prediction
from inrkit.errors import UsageError


@torch.no_grad()
def sample(
    pipeline: Pipeline,
    template: Observation,
    draws: Draws,
    *,
    times: Sequence[float] = (T_MAX,),
    label: Tensor | None = None,
    clamp: bool = False,
) -> Prediction:
    """One signal per row of the template, from f at each of ``times``, noisiest first.

    Between steps x = f + sqrt(t² - t_min²) z (Consistency Models, Algorithm 1). When the read-out lets much of x_t
    into f, the last f is encoded once more, so that the INR alone is the sample.

    Args:
        template: Where a generated signal is observed; its values are not used.
        times: (80,) is one step, (80, .821) two.
        clamp: Keep f within [-1, 1] between steps.
    """
    if not times or any(b >= a for a, b in itertools.pairwise(times)) or times[-1] <= 0:
        raise UsageError(f"'times' must be positive and descend, noisiest first (got {tuple(times)})")
    shape = template.values.shape[1:]
    values = torch.zeros_like(template.values)
    for i, t in enumerate(times):
        spread = t if i == 0 else max(t**2 - pipeline.preconditioning.t_min**2, 0.0) ** 0.5
        values = values + spread * draws.normal(*shape).to(values)
        level = torch.full((len(template),), float(t), device=values.device)
        prediction = pipeline(template.with_values(values), level, label=label)
        values = prediction.observation.values
        if clamp:
            values = values.clamp(-1, 1)
    if len(times) > 1 and pipeline.readout.needs_reencoding:
        return pipeline.encode(template.with_values(values), label)
    return prediction
