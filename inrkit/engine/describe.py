"""What a run would be, without writing anything: for `--dry-run`."""

import math
from pathlib import Path
from typing import Any

import torch
from torch import nn

from inrkit.core.modality import Modality
from inrkit.engine.config import RunConfig
from inrkit.engine.model import build_model
from inrkit.engine.phases import stretches
from inrkit.engine.precision import choose_device, choose_precision
from inrkit.engine.resolve import data_path, modality_of


def describe_run(config: RunConfig, modality: type[Modality] | None = None) -> dict[str, Any]:
    """Parameters by part, what one INR consists of, phases with their steps, data and machine; as JSON."""
    kind = modality_of(config, modality)
    pipeline = build_model(config, kind, Path(), 0, torch.device("cpu")).pipeline
    source = kind.source(data_path(config), "train")
    shapes = pipeline.function.param_shapes
    device = choose_device(config.device)
    return {
        "modality": config.modality,
        "preset": config.preset,
        "parameters": {
            "total": _count(pipeline),
            "denoiser": {"total": _count(pipeline.denoiser), **_parts(pipeline.denoiser)},
            "function": _count(pipeline.function),
        },
        "inr": {
            "numbers": sum(math.prod(shape) for shape in shapes.values()),
            "params": {name: list(shape) for name, shape in shapes.items()},
        },
        "phases": [{"objective": p.name, "trains": p.trains, "steps": p.stop - p.start} for p in stretches(config)],
        "steps": config.steps,
        "batch_size": config.batch_size,
        "epochs": round(config.steps * config.batch_size / max(1, len(source)), 2),
        "data": dict(source.facts),
        "device": str(device),
        "precision": choose_precision(config.precision, device),
    }


def _count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def _parts(module: nn.Module) -> dict[str, int]:
    """Parameters of each child, and of the module's own."""
    parts = {name: _count(child) for name, child in module.named_children() if _count(child)}
    own = sum(p.numel() for p in module.parameters(recurse=False))
    return {**parts, **({"own": own} if own else {})}
