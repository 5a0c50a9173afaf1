"""Where a run is followed besides its own files: experiment trackers, as plugins offer them (`register_trackers`)."""

import abc
import json
import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, final

from torch import Tensor

from inrkit.drawing.sheet import read_png
from inrkit.errors import UsageError
from inrkit.plugins import load_plugins, reason_of
from inrkit.storage import atomic


class Tracker(abc.ABC):
    """Is told what a run writes down, as it goes. One is made, without arguments, for each run, in its first process.

    A tracker that raises is dropped with a warning, and the run goes on. Only an `inrkit.UsageError` in ``check`` or
    ``start`` ends the run, before its first step.
    """

    name: ClassVar[str]

    @classmethod  # noqa: B027  # most have nothing to look for
    def check(cls) -> None:
        """An `inrkit.UsageError` where a package is missing; asked before anything of a run is written."""

    @abc.abstractmethod
    def start(self, run: Path, config: Mapping[str, Any], step: int) -> None:
        """Called first.

        Args:
            run: The run directory, where a tracker may keep files in a folder of its name.
            config: All keys of the run's config, as plain values.
            step: Where the run begins: 0, or that of the checkpoint that it goes on from. What was told of later steps,
                by a process that was stopped, is not told again.
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
    """All trackers of a run, each told on its own, and nothing twice.

    `trackers.json` of the run directory has the last step of which each was told each value. It is written before the
    tracker is told: whatever ends the process, no step comes twice, and at most what was under way is missing.

    Args:
        names: Of registered trackers; none for processes other than the first.
        run, config, step: As `Tracker.start` is told.
    """

    def __init__(self, names: Sequence[str], run: Path, config: Mapping[str, Any], step: int) -> None:
        self._following: dict[str, Tracker] = {name: load_plugins().tracker(name)() for name in names}
        self._path = run / "trackers.json"
        self._told = _read(self._path) if names else {}
        self._tell(lambda _, tracker: tracker.start(run, config, step), (KeyboardInterrupt, UsageError))

    def log(self, step: int, values: Mapping[str, Any]) -> None:
        """A line of metrics; what is no finite number is left out."""
        finite = {n: float(v) for n, v in values.items() if isinstance(v, int | float) and math.isfinite(v)}
        self._tell_new(step, finite, lambda tracker, new: tracker.log(step, {n: finite[n] for n in new}))

    def sheet(self, step: int, path: object) -> None:
        """The sheet of samples that was saved, if one was."""
        if self._following and isinstance(path, Path):
            values = read_png(path)
            self._tell_new(step, ["samples"], lambda tracker, _: tracker.picture(step, "samples", values))

    def finish(self) -> None:
        self._tell(lambda _, tracker: tracker.finish())

    def _tell_new(self, step: int, names: Iterable[str], what: Callable[[Tracker, list[str]], object]) -> None:
        """Tells each tracker of those names that it has not been told of at this step."""
        new = {
            name: [value for value in names if self._told.get(name, {}).get(value, -1) < step]
            for name in self._following
        }
        for name, values in new.items():
            self._told.setdefault(name, {}).update(dict.fromkeys(values, step))
        if any(new.values()):
            atomic.write_text(self._path, json.dumps(self._told))
        self._tell(lambda name, tracker: what(tracker, new[name]) if new[name] else None)

    def _tell(
        self, what: Callable[[str, Tracker], object], ends: tuple[type[BaseException], ...] = (KeyboardInterrupt,)
    ) -> None:
        for name, tracker in list(self._following.items()):
            try:
                what(name, tracker)
            except ends:
                raise
            except BaseException as error:  # whatever it is, a run of days is worth more
                del self._following[name]
                origin = load_plugins().origin("tracker", name)
                logging.getLogger("inrkit").warning("%s is dropped: %s", origin, reason_of(error))


def _read(path: Path) -> dict[str, dict[str, int]]:
    """What trackers were told; nothing, where that is not known."""
    try:
        found: dict[str, dict[str, int]] = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found
