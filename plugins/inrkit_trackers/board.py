"""TensorBoard."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from torch import Tensor

from inrkit import Tracker
from inrkit_trackers.begin import package


@final
class TensorBoardTracker(Tracker):
    """Event files in the folder `tensorboard` of the run directory."""

    name = "tensorboard"

    @classmethod
    def check(cls) -> None:
        package("tensorboard", "torch.utils.tensorboard")

    def start(self, run: Path, config: Mapping[str, Any], step: int) -> None:
        board, folder = package("tensorboard", "torch.utils.tensorboard"), run / "tensorboard"
        begun = folder.is_dir() and any(folder.iterdir())
        self._writer: Any = board.SummaryWriter(str(folder))
        if not begun:
            keys = "\n".join(f"    {key} = {value!r}" for key, value in config.items())
            self._writer.add_text("config", keys, step)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()  # it would keep minutes of them in memory, which a process that is killed loses

    def picture(self, step: int, name: str, values: Tensor) -> None:
        self._writer.add_image(name, values, step)
        self._writer.flush()

    def finish(self) -> None:
        self._writer.close()
