"""Where a run is followed besides its own files: an experiment tracker, as plugins offer them (`register_trackers`)."""

import abc
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor


class Tracker(abc.ABC):
    """Is told what a run writes down, as it goes. One is made, without arguments, for each run, in its first process.

    A tracker that raises is dropped with a warning, and the run goes on; nothing that it does reaches the run.
    """

    name: ClassVar[str]

    @abc.abstractmethod
    def start(self, run: Path, config: Mapping[str, Any], step: int) -> None:
        """Called first.

        Args:
            run: The run directory, where a tracker may keep files in a folder of its name.
            config: All keys of the run's config, as plain values.
            step: Where the run begins: 0, or that of the checkpoint that it goes on from. Later values may have been
                told before, by a process that was stopped.
        """

    @abc.abstractmethod
    def log(self, step: int, values: Mapping[str, float]) -> None:
        """The numbers of a line of `metrics.jsonl`, such as "loss" and "heldout/psnr", all of them finite."""

    @abc.abstractmethod
    def picture(self, step: int, name: str, values: Tensor) -> None:
        """A sheet of samples, (3, H, W) in [0, 1], under a name that is the same at every step."""

    @abc.abstractmethod
    def finish(self) -> None:
        """Called last, also when the run is stopped or fails."""
