"""A sampler: the midpoint method."""

from typing import final

import attrs

import inrkit


@final
@attrs.frozen
class Midpoint(inrkit.Sampler):
    """Along dx/dt = (x - f(x, t)) / t, by the slope in the (geometric) middle of each step."""

    name = "midpoint"

    def times(self, steps: int | None = None, middle: float = 1.0) -> tuple[float, ...]:
        steps = 12 if steps is None else steps
        return tuple(80 * (0.02 / 80) ** (i / max(1, steps - 1)) for i in range(steps))

    def step(
        self, f: inrkit.Guided, noisy: inrkit.Observation, t: float, r: float, draws: inrkit.Draws
    ) -> inrkit.Observation:
        x, half = noisy.values, (t * r) ** 0.5
        (clean,) = f((noisy,), t)
        between = noisy.with_values(clean.values + half / t * (x - clean.values))
        (clean,) = f((between,), half)
        return noisy.with_values(x + (r - t) * (between.values - clean.values) / half)

    def passes(self, steps: int) -> int:
        return 2 * steps - 1
