"""What a run would take is counted, agrees with what a run has, and leaves nothing behind."""

from pathlib import Path

import pytest
import torch
from toy import ToyModality
from toy_run import train_toy

import inrkit
from inrkit.comparison.operations import of_training
from inrkit.config.resolve import Resolved, resolve
from inrkit.storage.checkpoint import list_checkpoints, load_checkpoint
from inrkit.training import forecast as module


def toy(**values: object) -> Resolved:
    return resolve(ToyModality, flags={"precision": "fp32", "device": "cpu", "steps": 20, "batch_size": 16, **values})


def test_sizes_are_those_of_the_run(tmp_path: Path) -> None:
    """Weights, gradients, averages and a checkpoint's tensors are counted exactly; names come on top."""
    model = train_toy(tmp_path, steps=20, batch_size=16)
    found = inrkit.dry_run(toy())
    count = sum(p.numel() for p in model.pipeline.parameters())
    assert sum(found.parameters.values()) == count
    assert found.memory["averages"] == found.memory["gradients"] == 4 * count
    tensors = load_checkpoint(list_checkpoints(tmp_path / "checkpoints")[-1]).tensors
    assert found.checkpoint == sum(tensor.nbytes for group in tensors.values() for tensor in group.values())


def test_operations_are_those_of_training() -> None:
    """In all as many as `inrkit compare` counts; a backward pass has twice those of its forward pass."""
    resolved = toy(objective="ect")
    found = inrkit.dry_run(resolved)
    assert sum(found.operations.values()) * 20 == pytest.approx(of_training(resolved), rel=0.2)
    assert found.operations["backward"] == pytest.approx(2 * found.operations["forward"], rel=0.2)
    assert 0 < found.operations["teacher"] <= found.operations["forward"]
    muon = inrkit.dry_run(toy(optimizer="muon"))
    assert muon.operations["optimizer"] > found.operations["optimizer"] == 0


def test_a_slow_step_is_extrapolated(monkeypatch: pytest.MonkeyPatch) -> None:
    """From fewer signals, to nearly the same number of operations; and it is said."""
    whole = inrkit.dry_run(toy(objective="ect", batch_size=32))
    monkeypatch.setattr(module, "_PATIENCE", 0.0)
    part = inrkit.dry_run(toy(objective="ect", batch_size=32))
    assert (whole.measured_rows, part.measured_rows, part.rows) == (32, 4, 32)
    assert sum(part.operations.values()) == pytest.approx(sum(whole.operations.values()), rel=0.25)


def test_gradient_accumulation_changes_the_work_of_a_pass_only() -> None:
    """The same operations a step, of fewer signals at a time."""
    once, parts = inrkit.dry_run(toy(objective="ect")), inrkit.dry_run(toy(objective="ect", accumulate=4))
    assert (once.rows, parts.rows) == (16, 4)
    assert sum(parts.operations.values()) == pytest.approx(sum(once.operations.values()), rel=0.25)


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file, and no random state that is another."""
    monkeypatch.chdir(tmp_path)
    state = torch.get_rng_state()
    found = inrkit.dry_run(modality=ToyModality, steps=7200, batch_size=4)
    assert found.hours == 2 * found.seconds
    assert found.figures()["disk"] == 3 * found.checkpoint
    assert torch.equal(torch.get_rng_state(), state)
    assert not list(tmp_path.iterdir())
