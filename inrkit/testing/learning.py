"""Runs: a tiny one learns, and its model samples and encodes."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import torch

from inrkit.config.resolve import complete
from inrkit.testing.check import check, expect, expect_alike, expect_finite
from inrkit.testing.subject import Subject
from inrkit.training.run import train

_STEPS = 30
_TINY: dict[str, Any] = {
    "objective": "reconstruction",
    "objective_options": {},
    "batch_size": 8,
    "optimizer": "adamw",
    "lr": 2e-3,
    "nan": "stop",
    "warmup": 5,
    "warmup_share": 0.0,
    "log_every": 1,
    "phases": (),
}


@check
def a_tiny_run_learns(subject: Subject) -> None:
    """A short run that reconstructs brings the loss down."""
    steps = int(subject.values.get("steps", _STEPS))
    values = {**_TINY, "save_every": steps, "sample_every": steps, "steps": steps, **subject.values}
    resolved = complete(attrs.evolve(subject.config, **values), subject.cls)
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        train(
            resolved,
            run,
            progress=False,
            on_sample=lambda *_: None,
            on_end=lambda *_: None,
        )
        losses = list(_losses(run / "metrics.jsonl"))
    expect(len(losses) >= 4, f"expected the loss of each step, found {len(losses)}")
    quarter = max(1, len(losses) // 4)
    first, last = sum(losses[:quarter]) / quarter, sum(losses[-quarter:]) / quarter
    expect(last < 0.97 * first, f"expected the loss to fall, found {first:.4g} at first and {last:.4g} at last")


@check
def samples_are_finite_and_seeded(subject: Subject) -> None:
    """A model generates finite signals; the same seed gives the same ones, however many are asked for."""
    model = subject.model
    one, two, more = model.sample(2, seed=3), model.sample(2, seed=3), model.sample(3, seed=3)
    expect_finite(one.signal, "generated signals")
    expect_alike(two.signal, one.signal, "two samples of one seed", 0.0)
    expect_alike(more.signal[:2], one.signal, "the first two of three samples", 1e-4)
    other = model.sample(2, seed=4)
    different = any(not torch.equal(other.params[name], value) for name, value in one.params.items())
    expect(different, "expected other samples from another seed, found the same ones")


@check
def sampling_in_steps_is_finite(subject: Subject) -> None:
    """Several steps of sampling give finite signals too."""
    expect_finite(subject.model.sample(2, times=(80.0, 2.0, 0.5)).signal, "signals generated in three steps")


def _losses(path: Path) -> Iterator[float]:
    for line in path.read_text().splitlines():
        record = json.loads(line)
        if "loss" in record:
            yield float(record["loss"])
