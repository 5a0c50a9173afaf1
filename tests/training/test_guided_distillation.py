"""Guided distillation, from labelled data to a single step: what the diffusion model is led to, its student gives."""

from pathlib import Path
from typing import Any, final

import numpy as np
import pytest
import torch
from test_resume import CrashError, crash_at
from toy_run import fingerprint, nothing

from inrkit import GridModality, Model, UsageError, resolve, train, write_store

SMALL = {"width": 16, "heads": 2, "hidden": 32, "depth": 1, "inr_width": 24, "inr_inner": 16, "patch": 4, "classes": 2}


@final
class Levels(GridModality):
    """Signals of one value, from a store: classes 0 and 1 have the means -.25 and .25, and the spread .2."""

    name, summary, axes = "levels", "one value everywhere", 1


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    chance = np.random.default_rng(0)
    labels = np.arange(400) % 2
    values = (labels * 0.5 - 0.25 + 0.2 * chance.normal(size=400)).astype(np.float32)
    arrays = {"values": np.broadcast_to(values[:, None, None], (400, 1, 8)).copy(), "labels": labels}
    attributes = {"class_names": ["low", "high"]}
    return write_store(tmp_path_factory.mktemp("data") / "levels.h5", "levels", arrays, attributes)


def run(out: Path, store: Path, **values: Any) -> Model:
    values = {"on_sample": nothing, "on_end": nothing, "progress": False, "precision": "fp32", **values}
    options = {**SMALL, **values.pop("options", {})}
    fixed = {"data": str(store), "batch_size": 64, "lr": 5e-3, "warmup": 5, "optimizer": "radam", "save_every": 60}
    return train(modality=Levels, out=out, options=options, **{**fixed, **values})


@pytest.fixture(scope="module")
def teacher(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "teacher"
    run(
        out,
        store,
        objective="diffusion",
        steps=150,
        label_dropout=0.3,
        objective_options={"p_mean": -0.5, "p_std": 1.5},
    )
    return out


def test_the_student_is_guided_in_one_step(teacher: Path, store: Path, tmp_path: Path) -> None:
    """Law: with w > 1 the classes are further apart than without guidance, in one step and with nobody to guide it."""
    apart = []
    for weight in (1.0, 4.0):
        options = {"teacher": str(teacher), "guidance": weight, "n": 8, "sigma_max": 10.0}
        student = run(tmp_path / str(weight), store, objective="cd", objective_options=options, steps=120)
        means = [student.sample(64, times=(10.0,), label=label).signal.mean() for label in (0, 1)]
        apart.append(float(means[1] - means[0]))
    assert apart[0] > 0.2
    assert apart[1] > 1.2 * apart[0]


@pytest.fixture(scope="module")
def told(teacher: Path, store: Path, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A student that is told its guidance scale, from 1 to 6."""
    out = tmp_path_factory.mktemp("runs") / "told"
    options = {"teacher": str(teacher), "guidance_range": [1.0, 6.0], "n": 8, "sigma_max": 10.0}
    return run(out, store, objective="cd", objective_options={**options, "solver": "euler"}, steps=12, batch_size=32)


def test_a_told_student_is_asked_once(told: Model) -> None:
    """Whatever its scale, a sample is one evaluation; it learned to use what it is told, and nothing outside of it."""
    asked: list[int] = []
    hook = told.pipeline.denoiser.register_forward_hook(lambda *_: asked.append(1))
    first, second = (told.sample(4, times=(10.0,), label=1, guidance=scale).signal for scale in (1.0, 6.0))
    hook.remove()
    assert len(asked) == 2
    assert not torch.equal(first, second)
    with pytest.raises(UsageError, match="'guidance' must be from 1 to 6, which the network learned \\(got 7\\)"):
        told.sample(1, guidance=7.0)


def test_fine_tuning_without_a_teacher_of_its_own(told: Model, store: Path, tmp_path: Path) -> None:
    """Latent consistency fine-tuning: the data are the denoiser, levels are skipped, and the scale is still told."""
    levels = {"s0": 8, "s1": 8, "skip": 3, "sigma_max": 10.0, "guidance_range": [1.0, 6.0]}
    tuned = run(tmp_path, store, objective="ct", objective_options=levels, init=str(told.run), steps=4, lr=1e-12)
    before = told.sample(4, guidance=4.0).signal
    assert (tuned.sample(4, guidance=4.0).signal - before).abs().max() < 1e-4


@pytest.mark.parametrize(
    ("objective", "options", "message"),
    [
        ("cd", {"guidance_range": [3.0, 1.0]}, "two numbers from 0, the lower one first"),
        ("cd", {"guidance_range": [1.0, 3.0], "guidance": 2.0}, "expected 'guidance' or 'guidance_range', found both"),
        ("ct", {"s0": 4, "skip": 4}, "'skip' must be from 1 to below 's0' = 4"),
    ],
)
def test_scales_and_levels_that_cannot_be(store: Path, objective: str, options: dict[str, Any], message: str) -> None:
    """Said when the config is made."""
    with pytest.raises(UsageError, match=message):
        resolve(Levels, flags={"data": str(store), "objective": objective, "objective_options": options})


def test_resume_of_guided_distillation(teacher: Path, store: Path, tmp_path: Path) -> None:
    """With labels that are dropped for the student too, bit for bit."""
    options = {"teacher": str(teacher), "guidance": 2.0, "n": 8, "skip": 2, "mu": 0.9}
    values = {"objective": "cd", "objective_options": options, "steps": 6, "save_every": 2, "label_dropout": 0.2}
    run(tmp_path / "whole", store, sample_every=5, **values)
    with pytest.raises(CrashError):
        run(tmp_path / "parts", store, sample_every=5, on_sample=crash_at(5), **values)
    run(tmp_path / "parts", store, sample_every=5, **values)
    assert fingerprint(tmp_path / "parts") == fingerprint(tmp_path / "whole")


def test_a_teacher_of_other_classes_is_refused(teacher: Path, store: Path, tmp_path: Path) -> None:
    """Its labels would mean something else."""
    options = {"teacher": str(teacher)}
    with pytest.raises(UsageError, match="expected a run whose number of classes is 0, found 2"):
        run(tmp_path, store, objective="cd", objective_options=options, steps=2, options={"classes": 0})
