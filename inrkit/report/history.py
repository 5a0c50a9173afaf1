"""What a run wrote down as it went, read back as curves."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

import attrs

from inrkit.core.gradient import gradient_shares
from inrkit.drawing.curve import chart, stacked_chart
from inrkit.storage.atomic import set_aside

_GRADIENT = "gradient/"
STEPS = "steps/"
"""Distances of samples in one step and in two, from the end of the run."""

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

    def gradient_shares(self) -> dict[str, list[tuple[float, float]]]:
        """(step, share of the gradient) of each loss over each span of noise levels, wherever they were measured."""
        lines = [{n: v for n, v in line.items() if n.startswith(_GRADIENT) or n == "step"} for line in self.metrics]
        lines = [line for line in lines if len(line) > 1]
        shares = [(line.pop("step"), gradient_shares({n: float(v or 0) for n, v in line.items()})) for line in lines]
        names = sorted({name for _, share in shares for name in share}, key=_by_loss_and_level)
        return {name: [(float(step), share.get(name, 0.0)) for step, share in shares] for name in names}

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
        if shares := self.gradient_shares():
            named = {_part(name): points for name, points in shares.items()}
            title = "Gradient share by loss and noise level t"
            drawn[title] = stacked_chart(named, title=title, marks=self.phases())
        for name in names:
            known = {"loss", "lr", "norm", "samples/frechet", *terms, *held_out}
            if (
                name not in known
                and not name.startswith((_GRADIENT, STEPS))
                and any(value for _, value in self.points(name))
            ):
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


def _by_loss_and_level(name: str) -> tuple[bool, str, float]:
    """Losses on many levels first, each from clean rows up."""
    _, loss, levels = name.split("/")
    return loss in ("recon", "diff"), loss, -1.0 if levels == "clean" else float(levels.partition("-")[0])


def _part(name: str) -> str:
    """How the part of a gradient is called: "gradient/gene/0.1-0.3"."""
    _, loss, levels = name.split("/")
    low, _, high = levels.partition("-")
    if not high:
        return f"{loss}, {levels}"
    return f"{loss}, t > {low}" if high == "inf" else f"{loss}, t {low} to {high}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _spelled(name: str) -> str:
    text = name.rpartition("/")[2].replace("_", " ")
    return text.upper() if text in ("psnr", "ssim") else text
