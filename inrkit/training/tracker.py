"""Where a run is followed besides its own files: experiment trackers, as plugins offer them (`register_trackers`)."""

import abc
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, final

from torch import Tensor

from inrkit.drawing.sheet import read_png
from inrkit.errors import UsageError
from inrkit.plugins import load_plugins, reason_of


class Tracker(abc.ABC):
    """Is told what a run writes down, as it goes. One is made, without arguments, for each run, in its first process.

    A tracker that raises is dropped with a warning, and the run goes on. Only an `inrkit.UsageError` in ``start``, such
    as that a package is missing, ends the run, before its first step.
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


@final
class Trackers:
    """All trackers of a run, each told on its own.

    Args:
        names: Of registered trackers; none for processes other than the first.
        run, config, step: As `Tracker.start` is told.
    """

    def __init__(self, names: Sequence[str], run: Path, config: Mapping[str, Any], step: int) -> None:
        self._following: dict[str, Tracker] = {name: load_plugins().tracker(name)() for name in names}
        self._tell(lambda tracker: tracker.start(run, config, step), (KeyboardInterrupt, UsageError))

    def log(self, step: int, values: Mapping[str, Any]) -> None:
        """A line of metrics; what is no finite number is left out."""
        finite = {n: float(v) for n, v in values.items() if isinstance(v, int | float) and math.isfinite(v)}
        self._tell(lambda tracker: tracker.log(step, finite))

    def sheet(self, step: int, path: object) -> None:
        """The sheet of samples that was saved, if one was."""
        if self._following and isinstance(path, Path):
            values = read_png(path)
            self._tell(lambda tracker: tracker.picture(step, "samples", values))

    def finish(self) -> None:
        self._tell(lambda tracker: tracker.finish())

    def _tell(
        self, what: Callable[[Tracker], object], ends: tuple[type[BaseException], ...] = (KeyboardInterrupt,)
    ) -> None:
        for name, tracker in list(self._following.items()):
            try:
                what(tracker)
            except ends:
                raise
            except BaseException as error:  # whatever it is, a run of days is worth more
                del self._following[name]
                origin = load_plugins().origin("tracker", name)
                logging.getLogger("inrkit").warning("%s is dropped: %s", origin, reason_of(error))
