"""Guided distillation, from labelled data to a single step: what the diffusion model is led to, its student gives."""

from pathlib import Path
from typing import Any, final

import numpy as np
import pytest
from test_resume import CrashError, crash_at
from toy_run import fingerprint, nothing

from inrkit import GridModality, Model, UsageError, train, write_store

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
