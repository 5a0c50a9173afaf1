"""At which noise levels a run samples: its own kind of sampler, and the middle level of two steps that was searched.

A consistency function takes 80 for one step, 80 and .821 for two (Easy Consistency Tuning); a diffusion model goes down
Karras' grid from 80 to `ODE_LAST` by Heun's method, in 18 steps unless said otherwise.
"""

import json
from pathlib import Path
from typing import Any

from inrkit.config.run import RunConfig
from inrkit.core.karras import karras_levels
from inrkit.core.noise import T_MAX
from inrkit.core.sample import Sampler
from inrkit.errors import UsageError

MIDDLE = 0.821
ODE_STEPS = 18
ODE_LAST = 0.02


def sampler_of(config: RunConfig) -> Sampler:
    """ "heun" for a run whose last phase is diffusion, whose f is no consistency function; else "consistency"."""
    last = config.phases[-1].objective if config.phases else config.objective
    return "heun" if last == "diffusion" else "consistency"


def times_of(steps: int | None = None, sampler: Sampler = "consistency", middle: float = MIDDLE) -> tuple[float, ...]:
    """The noise levels of so many steps; by default, as many as the sampler needs.

    More than two steps of a consistency function lie evenly on a log scale between 80 and the middle level.
    """
    if steps is not None and steps < 1:
        raise UsageError(f"'steps' must be at least 1 (got {steps})")
    if sampler != "consistency":
        steps = ODE_STEPS if steps is None else steps
        return (T_MAX,) if steps == 1 else tuple(karras_levels(steps, ODE_LAST, T_MAX).tolist())
    if steps is None or steps == 1:
        return (T_MAX,)
    return tuple(T_MAX * (middle / T_MAX) ** (i / (steps - 1)) for i in range(steps))


def middle_of(run: Path, step: int) -> float:
    """The middle level of two steps that was searched for the checkpoint of this step; .821 without a search."""
    found = searched(run, step)
    return MIDDLE if found is None else float(found["middle"])


def searched(run: Path, step: int) -> dict[str, Any] | None:
    """What a search found for the checkpoint of this step, as `evaluation.json` has it."""
    try:
        found = json.loads((run / "evaluation.json").read_text())["times"]
        right = found["step"] == step and 0 < float(found["middle"]) < T_MAX
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return dict(found) if right else None
