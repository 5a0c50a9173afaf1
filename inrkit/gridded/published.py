"""How published systems train, as the part of a preset that no modality decides; docs/papers.md has the sources."""

from collections.abc import Mapping
from typing import Any

_WEIGHTS = dict.fromkeys(("weight_gene", "weight_recon", "weight_diff"), "1/(t-r)")  # ω(t), on the sum of the three
_INRCT: Mapping[str, Any] = {
    **dict.fromkeys(("lambda_gene", "lambda_recon", "lambda_diff"), 1.0),
    **_WEIGHTS,
    "distance": "l2",
    "clean_share": 0.0,
    "t_recon": 0.007,
    "t_diff": 0.0865,
    "p_mean": -1.1,
    "p_std": 2.0,
    "curriculum": {"q": 2.0, "k": 8.0, "b": 1.0, "stages": 8},
}


def paper_preset(
    objective: str, steps: int, batch_size: int, objective_options: Mapping[str, Any], **values: Any
) -> Mapping[str, Any]:
    """RAdam at a constant rate, nothing clipped, an average of constant decay, the literal read-out; and these values.

    What is said of none of the papers is how often a run is saved and looked at.
    """
    return {
        "optimizer": "radam",
        "lr": 1e-4,
        "schedule": "constant",
        "warmup": 0,
        "clip": 0.0,
        "ema_decay": 0.9999,
        "readout": "literal",
        "objective": objective,
        "steps": steps,
        "batch_size": batch_size,
        "objective_options": objective_options,
        "summary": f"{objective} as published; for GPUs",
        "save_every": 5000,
        "sample_every": 5000,
        "log_every": 100,
        **values,
    }


def inrct_preset(reconstruction: int, full: int, **values: Any) -> Mapping[str, Any]:
    """INRCT: so many steps of reconstruction alone, at hardly any noise, then of Algorithm 1; and these values."""
    steps = reconstruction + full
    alone = {"distance": _INRCT["distance"], "t_recon": _INRCT["t_recon"]}
    first = {"objective": "reconstruction", "share": reconstruction / steps, "ema": False, "teacher_ema": 0.0}
    phases = [{**first, "options": alone}, {"objective": "inrct", "share": full / steps}]
    teacher = {"teacher_ema": 0.9, "teacher_schedule": "rising"}
    return paper_preset("inrct", steps, 128, _INRCT, phases=phases, early_stop=2, **teacher, **values)
