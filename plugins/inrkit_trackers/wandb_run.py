"""Weights & Biases."""

import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from torch import Tensor

from inrkit import Tracker, UsageError


@final
class WandbTracker(Tracker):
    """A run of Weights & Biases, kept in the folder `wandb` of the run directory.

    It is offline, so that nothing is sent, unless the environment variable ``WANDB_MODE`` says otherwise;
    ``wandb sync`` sends it later. ``WANDB_PROJECT`` names the project ("inrkit").
    """

    name = "wandb"

    def start(self, run: Path, config: Mapping[str, Any], step: int) -> None:
        try:
            import wandb
        except ImportError as error:
            command = 'pip install "inrkit[wandb]"'
            raise UsageError(f"the tracker 'wandb' needs wandb, which is not installed; run: {command}") from error
        identity = run / "wandb" / "inrkit-id"  # a resumed run is the same one
        if not identity.exists():
            identity.parent.mkdir(exist_ok=True)
            identity.write_text(uuid.uuid4().hex[:8])
        self._wandb: Any = wandb
        self._run: Any = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "inrkit"),
            name=run.name,
            dir=str(run),
            id=identity.read_text(),
            resume="allow",
            config=dict(config),
            mode=os.environ.get("WANDB_MODE", "offline"),
        )

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=step)

    def picture(self, step: int, name: str, values: Tensor) -> None:
        pixels = values.mul(255).round().byte().permute(1, 2, 0).numpy()
        self._run.log({name: self._wandb.Image(pixels)}, step=step)

    def finish(self) -> None:
        self._run.finish()
