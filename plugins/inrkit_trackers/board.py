"""TensorBoard."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from torch import Tensor

from inrkit import Tracker, UsageError


@final
class TensorBoardTracker(Tracker):
    """Event files in the folder `tensorboard` of the run directory."""

    name = "tensorboard"

    def start(self, run: Path, config: Mapping[str, Any], step: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            command = 'pip install "inrkit[tensorboard]"'
            needed = "the tracker 'tensorboard' needs TensorBoard, which is not installed"
            raise UsageError(f"{needed}; run: {command}") from error
        # What a process that was stopped told of later steps is told again.
        self._writer: Any = SummaryWriter(str(run / "tensorboard"), purge_step=step + 1)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def picture(self, step: int, name: str, values: Tensor) -> None:
        self._writer.add_image(name, values, step)

    def finish(self) -> None:
        self._writer.close()
