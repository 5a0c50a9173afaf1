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
            raise UsageError(
                "the tracker 'wandb' needs wandb, which is not installed; run: pip install \"inrkit[wandb]\""
            ) from error
        self._wandb: Any = wandb
        self._run: Any = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "inrkit"),
            name=run.name,
            dir=str(run),
            id=_identity(run / "wandb"),
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


def _identity(folder: Path) -> str:
    """A name for the run that it keeps when it is resumed."""
    file = folder / "inrkit-id"
    if not file.exists():
        folder.mkdir(exist_ok=True)
        file.write_text(uuid.uuid4().hex[:8])
    return file.read_text()
