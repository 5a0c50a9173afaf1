"""Weights & Biases."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from torch import Tensor

from inrkit import Tracker
from inrkit_trackers.begin import identity, package, pixels_of


@final
class WandbTracker(Tracker):
    """A run of Weights & Biases, kept in the folder `wandb` of the run directory.

    It is offline, so that nothing is sent, unless the environment variable ``WANDB_MODE`` says otherwise;
    ``wandb sync`` sends it later. ``WANDB_PROJECT`` names the project ("inrkit").
    """

    name = "wandb"

    @classmethod
    def check(cls) -> None:
        package("wandb", "wandb")

    def start(self, run: Path, config: Mapping[str, Any], step: int) -> None:
        self._wandb = package("wandb", "wandb")
        self._run: Any = self._wandb.init(
            project=os.environ.get("WANDB_PROJECT", "inrkit"),
            name=run.name,
            dir=str(run),
            id=identity(run / "wandb"),
            resume="allow",
            config=dict(config),
            mode=os.environ.get("WANDB_MODE", "offline"),
        )

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=step)

    def picture(self, step: int, name: str, values: Tensor) -> None:
        self._run.log({name: self._wandb.Image(pixels_of(values))}, step=step)

    def finish(self) -> None:
        self._run.finish()
