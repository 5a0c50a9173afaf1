"""How far a consistency function is from the clean signal, and from itself, over all noise levels: figures and curves.

Along x_t = x + t z, with one signal x and one noise z for all t:

    distance(t) = |f(x_t, t) - x|              CM-Func's denoising distance
    drift(t, t') = |f(x_t, t) - f(x_t', t')|    0 for a function that is perfectly consistent along this line

Both as root mean squares over the values.
"""

import bisect
import functools
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, final

import attrs
import torch
from torch import Tensor

from inrkit.core.draws import Draws, seed_of
from inrkit.core.noise import T_MAX
from inrkit.core.observation import Batch
from inrkit.core.pipeline import Pipeline
from inrkit.drawing.curve import chart
from inrkit.errors import UsageError
from inrkit.inference.signalset import SignalSet
from inrkit.progress import Progress, quiet

_AT = (0.1, 1.0, 10.0)  # where the distance is told as a number


def dense_levels(count: int = 48, first: float = T_MAX, last: float = 0.01) -> tuple[float, ...]:
    """The middles of ``count`` equal parts of the logarithmic way from the last to the first: no grid has them."""
    return tuple(first * (last / first) ** ((i + 0.5) / count) for i in reversed(range(count)))


@final
@attrs.frozen
class Along:
    """What f gives along one line of noise, over some signals; each a root mean square."""

    levels: Sequence[float]  # noise levels, ascending
    distance: Sequence[float]  # from f to the clean signal, at each level
    shown: Sequence[float]  # from what the INR shows to the clean signal, at each level
    drift: Sequence[float]  # from f at each level to f at the next, one fewer
    ends: float  # from f at the first level to f at the last

    @property
    def length(self) -> float:
        """Of the way that f takes: all drifts together. A straight way is as long as its ends are apart."""
        return math.fsum(self.drift)

    def rates(self) -> list[tuple[float, float]]:
        """(level, drift for every doubling of the level), at the middle of each step."""
        steps = zip(itertools.pairwise(self.levels), self.drift, strict=True)
        return [(math.sqrt(a * b), d / math.log2(b / a)) for (a, b), d in steps]


@torch.no_grad()
def along(pipeline: Pipeline, batch: Batch, draws: Draws, levels: Sequence[float], progress: Progress = quiet) -> Along:
    """f at ascending noise levels for the same signals and noise, where the query measures."""
    if len(levels) < 2 or any(b <= a for a, b in itertools.pairwise(levels)) or levels[0] <= 0:
        raise UsageError(f"'levels' must be two or more, positive and ascending (got {tuple(levels)})")
    clean = batch.query.values.float()
    noise, query_noise = batch.noise(draws)
    distance, shown, drift = [], [], []
    first = before = clean
    for done, level in enumerate(levels, 1):
        t = torch.full((len(batch),), float(level), device=clean.device)
        found = pipeline(batch.support.perturb(noise, t), t, batch.query.perturb(query_noise, t), label=batch.label)
        values = found.observation.values.float()
        distance.append(_apart(values, clean))
        shown.append(_apart(found.signal.float(), clean))
        drift.append(_apart(values, before))
        first, before = values if done == 1 else first, values
        progress(done, len(levels), "noise levels")
    return Along(tuple(levels), distance, shown, drift[1:], _apart(first, before))


def consistency_figures(signals: SignalSet, seed: int, chosen: set[str], progress: Progress) -> dict[str, Any]:
    """``denoising`` and ``trajectory``, each with its curves, over these signals.

    Rows of ``curves`` are points (noise level, value). "drift" is how far f moves for every doubling of the level;
    "length" is the whole way, "ends" how far its ends are apart.
    """
    levels, count = dense_levels(), len(signals)
    draws = Draws(seed_of(seed, "diagnose"), count, device=signals.model.device)
    found = along(signals.model.pipeline, signals.observe(), draws, levels, progress)
    result: dict[str, Any] = {}
    if "denoising" in chosen:
        figures = {f"at {at:g}": found.distance[bisect.bisect(levels, at)] for at in _AT}
        curves = {"f": found.distance, "INR": found.shown}
        points = {name: [[*point] for point in zip(levels, values, strict=True)] for name, values in curves.items()}
        result["denoising"] = {"count": count, **figures, "curves": points}
    if "trajectory" in chosen:
        curve = {"drift": [[*point] for point in found.rates()]}
        result["trajectory"] = {"count": count, "length": found.length, "ends": found.ends, "curves": curve}
    return result


def charts(evaluation: Mapping[str, Any]) -> dict[str, str]:
    """Title to drawing of what was measured."""
    drawn: dict[str, str] = {}
    draw = functools.partial(chart, x_label="noise level t", log_x=True)
    if curves := evaluation.get("denoising", {}).get("curves"):
        worst = max(value for _, value in curves["f"])
        series = {**curves, "x_t itself": [[t, t] for t, _ in curves["f"] if t <= 1.2 * worst]}
        drawn["Denoising distance"] = draw(series, title="distance to the clean signal")
    if curves := evaluation.get("trajectory", {}).get("curves"):
        title = "Change of f along a trajectory, for every doubling of the noise level"
        drawn[title] = draw(curves, title="change")
    return drawn


def _apart(a: Tensor, b: Tensor) -> float:
    return float((a - b).square().mean().sqrt())
