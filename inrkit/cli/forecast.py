"""What ``inrkit train --dry-run`` says: what a run would take on this machine."""

from typing import Any

from inrkit.cli.output import bar, shown, shown_bytes, shown_count, shown_time
from inrkit.cli.table import Table, say_result


def say_forecast(resolved: Any, minutes: float | None, *, as_json: bool) -> None:
    """What the run would take: a table, or JSON."""
    with bar("taking a few steps"):
        from inrkit.training.budget import steps_within
        from inrkit.training.forecast import dry_run

        forecast = dry_run(resolved)
    if minutes is not None:
        forecast = forecast.of_steps(steps_within(minutes, forecast.seconds))
    say_result(forecast.figures(), [Table(["what", ""], _rows(forecast))], as_json=as_json)


def _rows(forecast: Any) -> list[list[str]]:
    f, held = forecast, {name: count for name, count in forecast.memory.items() if name != "peak"}
    measured = "measured"
    if f.measured_rows < f.rows:
        measured = f"extrapolated from steps of at most {f.measured_rows} of {f.rows} signals"
    rates = ", ".join(f"{name} {rate / 1e9:.0f}" for name, rate in f.matmul.items())
    parts = [f"{name} {shown_count(count)}" for name, count in f.operations.items() if count]
    peak = "" if f.memory["peak"] is None else f"{shown_bytes(f.memory['peak'])} at most; "
    return [
        ["machine", f"{f.device}, {f.threads} threads, {f.precision}; matrix products: {rates} GFLOP/s"],
        ["parameters", f"{sum(f.parameters.values()):,}: {shown(f.parameters)}"],
        ["operations a step", f"{shown_count(sum(f.operations.values()))}FLOP: {', '.join(parts)}"],
        ["time of a step", f"{f.seconds:.3g} s, {f.share:.0%} of the rate of matrix products; {measured}"],
        ["memory", f"{peak}{', '.join(f'{name} {shown_bytes(count)}' for name, count in held.items())}"],
        ["disk", f"{shown_bytes(f.checkpoint * f.checkpoints)}: {f.checkpoints} checkpoints at most"],
        ["the whole run", f"{shown_time(3600 * f.hours)}: {f.steps:,} steps of {f.batch_size} signals"],
    ]
