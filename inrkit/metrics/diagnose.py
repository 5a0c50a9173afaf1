"""How far a consistency function is from the clean signal, and from itself, over all noise levels.

Along x_t = x + t z, with one signal x and one noise z for all t:

    distance(t) = |f(x_t, t) - x|              CM-Func's denoising distance
    drift(t, t') = |f(x_t, t) - f(x_t', t')|    0 for a function that is perfectly consistent along this line

Both as root mean squares over the values.
"""

import itertools
import math
from collections.abc import Sequence
from typing import final

import attrs
import torch
from torch import Tensor

from inrkit.core.draws import Draws
from inrkit.core.noise import T_MAX
from inrkit.core.observation import Batch
from inrkit.core.pipeline import Pipeline
from inrkit.errors import UsageError
from inrkit.progress import Progress, quiet


def dense_times(count: int = 48, first: float = T_MAX, last: float = 0.01) -> tuple[float, ...]:
    """The middles of ``count`` equal parts of the logarithmic way from the last to the first: no grid has them."""
    return tuple(first * (last / first) ** ((i + 0.5) / count) for i in reversed(range(count)))


@final
@attrs.frozen
class Along:
    """What f gives along one line of noise, over some signals; each a root mean square.

    Args:
        times: Noise levels, ascending.
        distance: From f to the clean signal, at each time.
        shown: From what the INR shows to the clean signal, at each time.
        drift: From f at each time to f at the next, one fewer.
        ends: From f at the first time to f at the last.
    """

    times: Sequence[float]
    distance: Sequence[float]
    shown: Sequence[float]
    drift: Sequence[float]
    ends: float

    @property
    def length(self) -> float:
        """Of the way that f takes: all drifts together. A straight way is as long as its ends are apart."""
        return math.fsum(self.drift)

    def rates(self) -> list[tuple[float, float]]:
        """(time, drift for every doubling of the time), at the middle of each step."""
        steps = zip(itertools.pairwise(self.times), self.drift, strict=True)
        return [(math.sqrt(a * b), d / math.log2(b / a)) for (a, b), d in steps]


@torch.no_grad()
def along(pipeline: Pipeline, batch: Batch, draws: Draws, times: Sequence[float], progress: Progress = quiet) -> Along:
    """f at ascending times for the same signals and noise, where the query measures."""
    if len(times) < 2 or any(b <= a for a, b in itertools.pairwise(times)) or times[0] <= 0:
        raise UsageError(f"'times' must be two or more, positive and ascending (got {tuple(times)})")
    clean = batch.query.values.float()
    noise, query_noise = batch.noise(draws)
    distance: list[float] = []
    shown: list[float] = []
    drift: list[float] = []
    first = before = None
    for done, time in enumerate(times, 1):
        t = torch.full((len(batch),), float(time), device=clean.device)
        found = pipeline(batch.support.perturb(noise, t), t, batch.query.perturb(query_noise, t), label=batch.label)
        values = found.observation.values.float()
        distance.append(_apart(values, clean))
        shown.append(_apart(found.signal.float(), clean))
        drift += [] if before is None else [_apart(values, before)]
        progress(done, len(times), "noise levels")
        first, before = values if first is None else first, values
    assert first is not None
    assert before is not None
    return Along(tuple(times), distance, shown, drift, _apart(first, before))


def _apart(a: Tensor, b: Tensor) -> float:
    return float((a - b).square().mean().sqrt())
