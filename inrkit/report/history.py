"""What a run wrote down as it went, read back as curves."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

import attrs

from inrkit.drawing.curve import chart
from inrkit.storage.atomic import set_aside

Lines = Sequence[Mapping[str, Any]]


@final
@attrs.frozen
class History:
    """The lines of `metrics.jsonl` and `timing.jsonl`."""

    metrics: Lines
    timing: Lines

    @classmethod
    def read(cls, run_dir: Path) -> "History":
        return cls(read_lines(run_dir / "metrics.jsonl"), read_lines(run_dir / "timing.jsonl"))

    def points(self, name: str) -> list[tuple[float, float]]:
        """(step, value) wherever the metrics have this name."""
        return [(float(line["step"]), float(line[name])) for line in self.metrics if _is_number(line.get(name))]

    def last(self, name: str) -> float | None:
        """The latest value of this name."""
        points = self.points(name)
        return points[-1][1] if points else None

    def names(self) -> list[str]:
        """All names of numbers, in the order in which they appear."""
        return list({name: None for line in self.metrics for name, value in line.items() if _is_number(value)})

    def phases(self) -> dict[str, float]:
        """Where each phase after the first is first seen: name to step."""
        starts: dict[str, float] = {}
        for line in self.metrics:
            if "phase" in line:
                starts.setdefault(str(line["phase"]), float(line["step"]))
        return dict(list(starts.items())[1:])

    def seconds(self) -> float:
        """The time that training took, over all its parts: the clock starts anew with each of them."""
        total, last = 0.0, 0.0
        for line in self.timing:
            seconds = float(line.get("seconds", 0.0))
            total, last = (total + last, seconds) if seconds < last else (total, seconds)
        return total + last

    def memory(self) -> int | None:
        """Most bytes that training held at once, where it was noted."""
        return max((int(line["memory"]) for line in self.timing if _is_number(line.get("memory"))), default=None)

    def charts(self) -> dict[str, str]:
        """Title to drawing: loss, its terms, held-out quality, learning rate, gradient, and whatever else there is."""
        names = [name for name in self.names() if name not in ("step", "seen")]
        terms = [name for name in names if name.startswith("loss/")]
        held_out = [name for name in names if name.startswith("heldout/")]
        drawn: dict[str, str] = {}
        for name in held_out:
            unit = ", dB" if name.endswith("psnr") else ""
            drawn[f"Held-out {_spelled(name)}{unit}"] = self._chart([name], log_y=False)
        for title, shown, log_y, smooth in (
            ("Fréchet distance of samples from training signals", ["samples/frechet"], True, False),
            ("Loss", ["loss"], True, True),
            ("Loss terms", terms if len(terms) > 1 else [], True, True),
            ("Learning rate", ["lr"], False, False),
            ("Gradient norm", ["norm"], True, True),
        ):
            if shown and set(shown) <= set(names):
                drawn[title] = self._chart(shown, log_y=log_y, smooth=smooth)
        for name in names:
            known = {"loss", "lr", "norm", "samples/frechet", *terms, *held_out}
            if name not in known and any(value for _, value in self.points(name)):
                drawn[_spelled(name).capitalize()] = self._chart([name], log_y=False)
        return drawn

    def _chart(self, names: Sequence[str], *, log_y: bool, smooth: bool = False) -> str:
        series = {_spelled(name): self.points(name) for name in names}
        # A term that is 0 while a phase leaves it out has no place on a logarithmic axis.
        positive = [y for points in series.values() for _, y in points if y > 0 and math.isfinite(y)]
        wide = bool(positive) and log_y
        return chart(series, title=", ".join(series), log_y=wide, smooth=smooth, marks=self.phases())


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The JSON objects of a file of lines; none without the file, and a last line that is cut off is left out.

    Of a file with damaged lines a copy is set aside, for the run may go on and write over it.
    """
    if not path.is_file():
        return []
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1].splitlines()
    values = [_decoded(line) for line in whole if line.strip()]
    if damaged := sum(value is None for value in values):
        set_aside(path, data, f"{damaged} of {len(whole)} lines are damaged and left out")
    last = _decoded(data[data.rfind(b"\n") + 1 :])
    return [value for value in (*values, last) if value is not None]


def _decoded(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:  # of bytes that are no UTF-8 as well
        return None
    return value if isinstance(value, dict) and _is_number(value.get("step")) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _spelled(name: str) -> str:
    text = name.rpartition("/")[2].replace("_", " ")
    return text.upper() if text in ("psnr", "ssim") else text
