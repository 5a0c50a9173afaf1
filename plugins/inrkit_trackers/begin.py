"""How every tracker begins: its package is there, and a run that goes on is the one that it was."""

import importlib
import os
import uuid
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from inrkit import UsageError

_UNASKED = {"MLFLOW_DISABLE_TELEMETRY": "true", "WANDB_ERROR_REPORTING": "false"}
"""What keeps these packages from telling their makers how they are used, which they do even offline."""


def package(tracker: str, module: str) -> Any:
    """A module of the package that a tracker needs, which is the extra of its name."""
    for variable, value in _UNASKED.items():
        os.environ.setdefault(variable, value)
    try:
        return importlib.import_module(module)
    except ImportError as error:
        needed = f"the tracker '{tracker}' needs a package that is not installed ({error})"
        raise UsageError(f'{needed}; run: pip install "inrkit[{tracker}]"') from error


def identity(folder: Path) -> str:
    """What a run is called by its tracker, kept in a folder of the run directory: resumed, it is the same one."""
    path = folder / "inrkit-id"
    if not path.exists():
        folder.mkdir(exist_ok=True)
        path.write_text(uuid.uuid4().hex[:8])
    return path.read_text()


def pixels_of(values: Tensor) -> Any:
    """A picture (3, H, W) in [0, 1] as bytes (H, W, 3)."""
    return values.mul(255).round().to(torch.uint8).permute(1, 2, 0).numpy()
