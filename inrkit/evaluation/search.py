"""The middle noise level of two steps, found by trying: whose samples lie nearest to training signals.

A run tries a few levels when it ends (`coarse_middle`); `inrkit evaluate --search-times` searches finely.

.821 is what Easy Consistency Tuning found on CIFAR-10, and iCT 1.526 on data of four times as many values: it depends
on the data and on the model. All levels are tried with the same noise, so that their order is not a matter of chance.
"""

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

from inrkit.core.draws import Draws
from inrkit.core.noise import T_MAX
from inrkit.core.sample import MIDDLE
from inrkit.drawing.curve import chart
from inrkit.errors import DataError, UsageError
from inrkit.evaluation.quick import QuickFrechet
from inrkit.inference.model import Model
from inrkit.inference.signalset import SignalSet
from inrkit.progress import Progress, quiet

LOW, HIGH = 0.1, 40.0
COARSE, FINE = 7, 5
TRIED = (0.1, 0.25, 0.5, 0.821, 1.5, 4.0, 10.0, MIDDLE)
"""Levels that are tried when a run ends. By way of the highest the second step hardly sees what the first has made."""
LEAST, MOST = 64, 256
_SEEN = 100
"""Signals of training for each one that is generated at a level: the search takes about a twentieth of the run."""
_GOLDEN = (math.sqrt(5) - 1) / 2


def search_middle(model: Model, n: int = 1000, seed: int = 0, progress: Progress = quiet) -> dict[str, Any]:
    """The best middle level, its distance, and all that were tried, as JSON: see `QuickFrechet` for the distance, of
    ``n`` signals in each set at most, and for the seed."""
    if not model.sampler.few_steps:
        raise UsageError("a diffusion run has no intermediate noise level to search: it is sampled by its ODE")
    quick, done = QuickFrechet(model, n, seed, progress), itertools.count()

    def distance(t: float) -> float:
        progress(next(done), COARSE + FINE, "searching the intermediate noise level")
        return quick.distance(model, (T_MAX, t))

    tried = sorted(minimise(distance, LOW, HIGH))
    progress(next(done), COARSE + FINE, "searching the intermediate noise level")
    middle, best = min(tried, key=lambda point: point[1])
    if not math.isfinite(best):
        raise DataError(
            f"the model of step {model.step} generates values that are not finite; search with an earlier checkpoint"
        )
    curves = {"2 steps": [[t, value] for t, value in tried if math.isfinite(value)]}
    found = {"middle": middle, "step": model.step, "seed": seed, "count": len(quick.signals), "frechet": best}
    return {**found, "curves": curves}


def affordable(model: Model, seen: int) -> int:
    """How many signals a search at the end of a run may generate at each level, by those that it has ``seen``; not by
    the clock, so that a resumed run finds the same level."""
    if seen < LEAST * _SEEN:
        return 0
    signals = SignalSet.choose(model, "train", 1, 0)
    batch = model.modality.observe(signals.source.read(signals.numbers), Draws(0, 1), training=True)
    learned, shown = batch.query.values.numel(), signals.reference().values.numel()
    return min(MOST, int(seen / _SEEN * min(1.0, learned / shown)))


def coarse_middle(model: Model, n: int) -> tuple[float, float, float]:
    """The best middle level of `TRIED`, the distance of two steps by way of it from ``n`` training signals, and that of
    one step; the default, and infinite distances, where samples are not finite."""
    quick = QuickFrechet(model, n)
    one = quick.distance(model, model.sampler.times(1))
    tried = {t: quick.distance(model, model.sampler.times(2, t)) for t in TRIED}
    middle = min(tried, key=lambda t: (tried[t], t != MIDDLE))
    return middle, tried[middle], one


def charts(evaluation: Mapping[str, Any]) -> dict[str, str]:
    """Title to drawing of what was searched."""
    curves = evaluation.get("times", {}).get("curves", {})
    title = "Fréchet distance from training signals, by the intermediate noise level of two-step sampling"
    return {title: chart(curves, title="distance", x_label="intermediate noise level", log_x=True)} if curves else {}


def minimise(value: Callable[[float], float], low: float, high: float) -> list[tuple[float, float]]:
    """All points (t, value) that were tried: a grid on a log scale, then a golden section beside its best point.

    The grid makes it safe where there are several minima; the section narrows a unimodal one down.
    """
    grid = [low * (high / low) ** (i / (COARSE - 1)) for i in range(COARSE)]
    tried = [(t, value(t)) for t in grid]
    best = min(range(COARSE), key=lambda i: tried[i][1])
    a, b = math.log(grid[max(best - 1, 0)]), math.log(grid[min(best + 1, COARSE - 1)])
    inner: dict[float, float] = {}
    for _ in range(FINE):
        left, right = b - _GOLDEN * (b - a), a + _GOLDEN * (b - a)
        # One of the two points of a section was a point of the section before.
        known = [x for x in inner if a < x < b]
        new = right if known and abs(known[0] - left) < abs(known[0] - right) else left
        inner[new] = value(math.exp(new))
        tried.append((math.exp(new), inner[new]))
        pair = sorted([*known[:1], new])
        if len(pair) == 2:
            a, b = (a, pair[1]) if inner[pair[0]] <= inner[pair[1]] else (pair[0], b)
    return tried
