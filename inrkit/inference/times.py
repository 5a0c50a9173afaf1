"""At which noise levels a run samples: its own kind of sampler, and the middle level of two steps that was searched."""

import json
from pathlib import Path
from typing import Any

from inrkit.config.run import RunConfig
from inrkit.core.noise import T_MAX
from inrkit.core.sample import MIDDLE, Sampler
from inrkit.plugins import load_plugins


def sampler_of(config: RunConfig) -> Sampler:
    """The sampler of what the last phase trains: a diffusion model is no consistency function."""
    last = config.phases[-1].objective if config.phases else config.objective
    return make_sampler(load_plugins().objective(last).sampler)


def make_sampler(sampler: Sampler | str) -> Sampler:
    """The sampler of this name; an object is one already."""
    return load_plugins().sampler(sampler)() if isinstance(sampler, str) else sampler


def middle_of(run: Path, step: int, default: float = MIDDLE) -> float:
    """The middle level of two steps that was searched for the checkpoint of this step; the default without a search."""
    found = searched(run, step)
    return default if found is None else float(found["middle"])


def searched(run: Path, step: int) -> dict[str, Any] | None:
    """What a search found for the checkpoint of this step, as `evaluation.json` has it."""
    try:
        found = json.loads((run / "evaluation.json").read_text())["times"]
        right = found["step"] == step and 0 < float(found["middle"]) < T_MAX
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return dict(found) if right else None
