"""Denoising distance and trajectory consistency of a trained model over held-out signals: figures and curves."""

import bisect
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from inrkit.core.draws import Draws, seed_of
from inrkit.core.modality import Source
from inrkit.drawing.curve import chart
from inrkit.inference.heldout import Trained, device_of, observed
from inrkit.metrics.diagnose import along, dense_times
from inrkit.progress import Progress

NAMES = ("denoising", "trajectory")

_AT = (0.1, 1.0, 10.0)  # where the distance is told as a number


@torch.no_grad()
def diagnosis(
    model: Trained, source: Source, numbers: Sequence[int], seed: int, chosen: set[str], progress: Progress
) -> dict[str, Any]:
    """``denoising`` and ``trajectory``, each with its curves, over these signals.

    Rows of ``curves`` are points (noise level, value). "drift" is how far f moves for every doubling of the level;
    "length" is the whole way, "ends" how far its ends are apart.
    """
    batch = observed(model, source, numbers)
    device = device_of(model)
    draws = Draws(seed_of(seed, "diagnose"), len(numbers), device=device)
    times = dense_times()
    found = along(model.pipeline, batch, draws, times, progress)
    result: dict[str, Any] = {}
    if "denoising" in chosen:
        result["denoising"] = {
            "count": len(numbers),
            **{f"at {at:g}": found.distance[bisect.bisect(times, at)] for at in _AT},
            "curves": {"f": _points(times, found.distance), "INR": _points(times, found.shown)},
        }
    if "trajectory" in chosen:
        result["trajectory"] = {
            "count": len(numbers),
            "length": found.length,
            "ends": found.ends,
            "curves": {"drift": [list(point) for point in found.rates()]},
        }
    return result


def _points(times: Sequence[float], values: Sequence[float]) -> list[list[float]]:
    return [[t, value] for t, value in zip(times, values, strict=True)]


def charts(evaluation: Mapping[str, Any]) -> dict[str, str]:
    """Title to drawing of what was measured."""
    drawn: dict[str, str] = {}
    if curves := evaluation.get("denoising", {}).get("curves"):
        levels = [t for t, _ in curves["f"]]
        worst = max(value for _, value in curves["f"])
        series = {**curves, "x_t itself": [[t, t] for t in levels if t <= 1.2 * worst]}
        drawn["Denoising distance"] = _chart(series, "distance to the clean signal")
    if curves := evaluation.get("trajectory", {}).get("curves"):
        drawn["Change of f along a trajectory, for every doubling of the noise level"] = _chart(curves, "change")
    return drawn


def _chart(series: Mapping[str, Any], title: str) -> str:
    points = {name: [(float(x), float(y)) for x, y in values] for name, values in series.items()}
    return chart(points, title=title, x_label="noise level t", log_x=True)
