"""TensorBoard."""

import io
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from torch import Tensor

from inrkit import Tracker
from inrkit_trackers.begin import package

_SUMMARIES = "torch.utils.tensorboard.summary"


@final
class TensorBoardTracker(Tracker):
    """Event files in the folder `tensorboard` of the run directory, a new one at each start.

    An event is in its file when it was told. TensorBoard's own writer has a thread, which keeps minutes of them from a
    run that is killed, and writes a traceback where the disk is full.
    """

    name = "tensorboard"

    @classmethod
    def check(cls) -> None:
        package("tensorboard", "torch.utils.tensorboard")

    def start(self, run: Path, config: Mapping[str, Any], step: int) -> None:
        self._summary, folder = package("tensorboard", _SUMMARIES), run / "tensorboard"
        begun = folder.is_dir() and any(folder.iterdir())
        folder.mkdir(exist_ok=True)
        self._path = folder / f"events.out.tfevents.{time.time():.6f}.{os.getpid()}"
        self._add(step, file_version="brain.Event:2")
        if not begun:
            keys = "\n".join(f"    {key} = {value!r}" for key, value in config.items())
            self._add(step, summary=self._summary.text("config", keys))

    def log(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._add(step, summary=self._summary.scalar(name, value))

    def picture(self, step: int, name: str, values: Tensor) -> None:
        self._add(step, summary=self._summary.image(name, values, dataformats="CHW"))

    def finish(self) -> None:
        """All is written."""

    def _add(self, step: int, **what: Any) -> None:
        events = package("tensorboard", "tensorboard.compat.proto.event_pb2")
        records = package("tensorboard", "tensorboard.summary.writer.record_writer")
        event, record = events.Event(wall_time=time.time(), step=step, **what), io.BytesIO()
        records.RecordWriter(record).write(event.SerializeToString())
        with self._path.open("ab") as file:
            file.write(record.getvalue())
