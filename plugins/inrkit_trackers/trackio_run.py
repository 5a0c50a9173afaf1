"""Trackio."""

import contextlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from torch import Tensor

from inrkit import Tracker
from inrkit_trackers.begin import identity, package, pixels_of


@final
class TrackioTracker(Tracker):
    """A run of Trackio, in the folder where Trackio keeps all runs, so that ``trackio show`` finds it.

    Nothing is sent, unless Trackio's own environment variables name a Space or a server. ``TRACKIO_DIR`` names another
    folder, ``TRACKIO_PROJECT`` the project ("inrkit").
    """

    name = "trackio"

    @classmethod
    def check(cls) -> None:
        package("trackio", "trackio")

    def start(self, run: Path, config: Mapping[str, Any], step: int) -> None:
        self._trackio = package("trackio", "trackio")
        with contextlib.redirect_stdout(sys.stderr):
            self._run: Any = self._trackio.init(
                project=os.environ.get("TRACKIO_PROJECT", "inrkit"),
                name=f"{run.name}-{identity(run / 'trackio')}",
                config=dict(config),
                resume="allow",
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=step)

    def picture(self, step: int, name: str, values: Tensor) -> None:
        self._run.log({name: self._trackio.Image(pixels_of(values))}, step=step)

    def finish(self) -> None:
        with contextlib.redirect_stdout(sys.stderr):
            self._run.finish()
