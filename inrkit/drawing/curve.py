"""Curves as inline SVG: axes, ticks, a legend, logarithmic axes. Colours are CSS variables: pages may be dark."""

import itertools
import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import final

import attrs

Points = Sequence[tuple[float, float]]

WIDTH, HEIGHT = 560, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 14, 22, 44
_MOST = 300
"""More points than that cannot be told apart at this width."""


@final
@attrs.frozen
class Axis:
    """From numbers to dots: ``low`` lands at ``start``, ``high`` at ``stop``."""

    low: float
    high: float
    start: float
    stop: float
    log: bool = False

    def dot(self, value: float) -> float:
        """Where this number lies."""
        low, high, value = (math.log10(v) if self.log else v for v in (self.low, self.high, value))
        return self.start + (value - low) / (high - low) * (self.stop - self.start)

    def ticks(self) -> list[float]:
        """Round numbers within the axis: 1, 2 or 5 times a power of ten."""
        return _log_ticks(self.low, self.high) if self.log else _linear_ticks(self.low, self.high)


def make_axis(values: Sequence[float], start: float, stop: float, *, log: bool = False, pad: float = 0.0) -> Axis:
    """The axis that shows these numbers, with a share ``pad`` of it left free at either end."""
    shown = [math.log10(v) if log else v for v in values if math.isfinite(v) and (v > 0 or not log)]
    low, high = (min(shown), max(shown)) if shown else (0.0, 1.0)
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        low, high = low - max(abs(low) * 0.1, 0.1), high + max(abs(high) * 0.1, 0.1)
    room = (high - low) * pad if shown else 0.0
    low, high = low - room, high + room
    return Axis(10**low, 10**high, start, stop, log) if log else Axis(low, high, start, stop, log)


def chart(
    series: Mapping[str, Points],
    *,
    title: str,
    x_label: str = "step",
    log_x: bool = False,
    log_y: bool = False,
    smooth: bool = False,
    marks: Mapping[str, float] | None = None,
) -> str:
    """One SVG of all series, name to (x, y) points; what an axis cannot show drops out.

    Args:
        smooth: Draw a running mean in full colour over the faint raw curve.
        marks: Named vertical lines, such as the beginnings of phases.
    """
    kept = {name: shown for name, points in series.items() if (shown := _showable(points, log_x, log_y))}
    xs = [x for points in kept.values() for x, _ in points]
    ys = [y for points in kept.values() for _, y in points]
    x_axis = make_axis(xs, _LEFT, WIDTH - _RIGHT, log=log_x)
    y_axis = make_axis(ys, HEIGHT - _BOTTOM, _TOP, log=log_y, pad=0.04)
    parts = [
        _opening(title),
        *_frame(x_axis, y_axis, x_label),
        *_marks(marks or {}, x_axis),
    ]
    for i, (name, points) in enumerate(kept.items()):
        parts += _line(name, points, x_axis, y_axis, i, smooth=smooth)
    parts.append("</svg>")
    return "".join(parts) + _legend(list(kept))


def stacked_chart(series: Mapping[str, Points], *, title: str, marks: Mapping[str, float] | None = None) -> str:
    """One SVG of shares that add up to 1, each an area upon those before it; all series have the same x."""
    smoothed = {name: thinned(running_mean(points, 1 + len(points) // 10)) for name, points in series.items()}
    xs = [x for x, _ in next(iter(smoothed.values()))]
    x_axis = make_axis(xs, _LEFT, WIDTH - _RIGHT)
    y_axis = Axis(0.0, 1.0, HEIGHT - _BOTTOM, _TOP)
    parts, low = [_opening(title), *_frame(x_axis, y_axis, "step")], [0.0] * len(xs)
    for i, (name, points) in enumerate(smoothed.items()):
        high = [below + y for below, (_, y) in zip(low, points, strict=True)]
        outline = [*zip(xs, high, strict=True), *reversed(list(zip(xs, low, strict=True)))]
        tip = f"<title>{escape(name)}: last {number(points[-1][1])}</title>"
        parts.append(f'<path class="c{i % 8} area" d="{_path(outline, x_axis, y_axis)}Z">{tip}</path>')
        low = high
    return "".join([*parts, *_marks(marks or {}, x_axis), "</svg>"]) + _legend(list(smoothed))


def running_mean(points: Points, width: int) -> list[tuple[float, float]]:
    """Each y replaced by the mean of the ``width`` points around it, fewer at the ends."""
    sums, half = list(itertools.accumulate((y for _, y in points), initial=0.0)), width // 2
    spans = ((max(0, i - half), min(len(points), i + half + 1)) for i in range(len(points)))
    return [(x, (sums[high] - sums[low]) / (high - low)) for (x, _), (low, high) in zip(points, spans, strict=True)]


def thinned(points: Points, most: int = _MOST) -> list[tuple[float, float]]:
    """At most this many points, each the mean of those it stands for; the first and the last stay as they are."""
    if len(points) <= most:
        return list(points)
    inner = points[1:-1]
    edges = [i * len(inner) // (most - 2) for i in range(most - 1)]
    groups = (inner[low:high] for low, high in itertools.pairwise(edges))
    means = [(sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group)) for group in groups]
    return [points[0], *means, points[-1]]


def number(value: float) -> str:
    """A short way to write a number: 20k, 0.002, 3e-05."""
    if value and abs(value) >= 10_000 and value == int(value):
        return f"{value / 1e6:g}M" if abs(value) >= 1e6 else f"{value / 1e3:g}k"
    return f"{value:.4g}"


def _opening(title: str) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}" '
        'xmlns="http://www.w3.org/2000/svg">'
    )


def _linear_ticks(low: float, high: float, count: int = 6) -> list[float]:
    raw = (high - low) / count
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(size * m for m in (1, 2, 5, 10) if size * m >= raw * 0.999)
    return [i * step for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    every = max(1, math.ceil((last - first) / 8))
    for factors in ((1,), (1, 2, 5)):
        powers = range(first, last + 1, every if factors == (1,) else 1)
        ticks = [f * 10.0**e for e in powers for f in factors if low * 0.999 <= f * 10.0**e <= high * 1.001]
        if len(ticks) >= 3:
            return ticks
    return _linear_ticks(low, high) if high < 10 * low else ticks


def _showable(points: Points, log_x: bool, log_y: bool) -> list[tuple[float, float]]:
    finite = ((x, y) for x, y in points if math.isfinite(x) and math.isfinite(y))
    return [(x, y) for x, y in finite if (x > 0 or not log_x) and (y > 0 or not log_y)]


def _frame(x_axis: Axis, y_axis: Axis, x_label: str) -> list[str]:
    right, bottom = WIDTH - _RIGHT, HEIGHT - _BOTTOM
    parts = []
    for tick in y_axis.ticks():
        y = y_axis.dot(tick)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{number(tick)}</text>')
    for tick in x_axis.ticks():
        x = x_axis.dot(tick)
        parts.append(f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{bottom}" y2="{bottom + 4}"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{number(tick)}</text>')
    label = f'<text x="{(_LEFT + right) / 2}" y="{HEIGHT - 6}" text-anchor="middle">{escape(x_label)}</text>'
    return [*parts, f'<line class="axis" x1="{_LEFT}" x2="{right}" y1="{bottom}" y2="{bottom}"/>', label]


def _marks(marks: Mapping[str, float], axis: Axis) -> list[str]:
    """Vertical lines, their names above the drawing; a name that would run into the one before is left to the tip."""
    parts, free = [], 0.0
    for name, value in marks.items():
        if not axis.low <= value <= axis.high:
            continue
        x, text = axis.dot(value), escape(name)
        parts.append(f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 4}" y2="{HEIGHT - _BOTTOM}">')
        parts.append(f"<title>{text} from {number(value)} on</title></line>")
        if x >= free:
            parts.append(f'<text class="mark" x="{x + 3:.1f}" y="{_TOP - 5}">{text}</text>')
            free = x + 10 + 7 * len(name)
    return parts


def _line(name: str, points: Points, x_axis: Axis, y_axis: Axis, index: int, *, smooth: bool) -> list[str]:
    colour = f"c{index % 8}"
    title = f"<title>{escape(name)}: last {number(points[-1][1])}</title>"
    if len(points) == 1:
        x, y = x_axis.dot(points[0][0]), y_axis.dot(points[0][1])
        return [f'<circle class="{colour}" cx="{x:.1f}" cy="{y:.1f}" r="3">{title}</circle>']
    parts = []
    if smooth and len(points) >= 20:
        parts.append(f'<path class="{colour} raw" d="{_path(thinned(points), x_axis, y_axis)}"/>')
        points = running_mean(points, max(5, len(points) // 25))
    parts.append(f'<path class="{colour}" d="{_path(thinned(points), x_axis, y_axis)}">{title}</path>')
    if len(points) <= 30:
        for x, y in points:
            tip = f"<title>{escape(name)} at {number(x)}: {number(y)}</title>"
            place = f'cx="{x_axis.dot(x):.1f}" cy="{y_axis.dot(y):.1f}"'
            parts.append(f'<circle class="{colour}" {place} r="2.5">{tip}</circle>')
    return parts


def _path(points: Points, x_axis: Axis, y_axis: Axis) -> str:
    return "M" + "L".join(f"{x_axis.dot(x):.1f} {y_axis.dot(y):.1f}" for x, y in points)


def _legend(names: Sequence[str]) -> str:
    if len(names) < 2:
        return ""
    items = (f'<li><span class="swatch c{i % 8}"></span>{escape(name)}</li>' for i, name in enumerate(names))
    return f'<ul class="legend">{"".join(items)}</ul>'
