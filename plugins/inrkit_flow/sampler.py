"""Sampling by a flow map: it follows the ODE in as many jumps as one likes."""

from typing import final

import attrs

from inrkit import Draws, Guided, Observation, Sampler


@final
@attrs.frozen
class FlowMapSampler(Sampler):
    """x_r = (r/t) x + (1 - r/t) f(x, t, r); no noise is added, so that more steps do not undo what was made."""

    name = "flow-map"
    few_steps = True

    def step(self, f: Guided, noisy: Observation, t: float, r: float, draws: Draws) -> Observation:
        (signal,) = f((noisy,), t, r)
        return noisy.with_values(r / t * noisy.values + (1 - r / t) * signal.values)
