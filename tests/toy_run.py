"""Toy runs, and what has to be equal when two of them are the same."""

import hashlib
import multiprocessing
from pathlib import Path
from typing import Any

import torch
from toy import ToyModality

from inrkit.inference.model import Model
from inrkit.machine.signals import process_setup
from inrkit.storage.checkpoint import list_checkpoints, load_checkpoint
from inrkit.training.run import train


def nothing(*args: object) -> None:
    """In place of sheets and reports."""


def train_toy(out: Path, **values: Any) -> Model:
    """A run of the toy modality as a command: 20 steps unless said otherwise, without sheets and report."""
    values = {"on_sample": nothing, "on_end": nothing, "progress": False, "precision": "fp32", **values}
    with process_setup():
        return train(modality=ToyModality, out=out, **values)


def fingerprint(run: Path) -> dict[str, str]:
    """sha256 of all that exact resume must leave the same: every tensor and counter of the last checkpoint, metrics."""
    checkpoint = load_checkpoint(list_checkpoints(run / "checkpoints")[-1])
    prints = {
        group: hashlib.sha256(
            b"".join(name.encode() + tensors[name].numpy().tobytes() for name in sorted(tensors))
        ).hexdigest()
        for group, tensors in checkpoint.tensors.items()
    }
    prints["state"] = repr(checkpoint.state)
    prints["metrics"] = hashlib.sha256((run / "metrics.jsonl").read_bytes()).hexdigest()
    return prints


def in_child(target: Any, *args: Any) -> "multiprocessing.process.BaseProcess":
    """A started child that was forked, so that nothing is imported again."""
    child = multiprocessing.get_context("fork").Process(target=target, args=args)
    child.start()
    return child


def weights(model: Model) -> torch.Tensor:
    """All weights in one row."""
    return torch.cat([p.flatten() for p in model.pipeline.parameters()])
