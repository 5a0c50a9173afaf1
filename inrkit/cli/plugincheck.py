"""``inrkit plugins check``."""

import importlib.metadata
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from inrkit.cli import complete, option
from inrkit.cli.help import command
from inrkit.cli.output import note
from inrkit.cli.table import Table, say_result
from inrkit.errors import InrkitError, PluginError, UsageError, did_you_mean
from inrkit.plugins import GROUP, Registry, load_plugins
from inrkit.plugins.registry import Entry

if TYPE_CHECKING:
    from inrkit.testing import Result
    from inrkit.testing.case import State


@command()
@click.argument("name", shell_complete=complete.plugins)
@option.keys("--set", "sets", "Set an option of the modality, to make it small.")
@click.option(
    "--data",
    metavar="DATA",
    type=option.PATH,
    help="Data set (a store), for a modality without synthetic signals. [default: none]",
)
@option.keys("--at", "places", "Where to render signals. [default: size=24]")
@click.option(
    "--expect",
    "expected",
    multiple=True,
    metavar="CHECK=REASON",
    help="A check that is expected to fail, with the reason; may be repeated.",
)
@click.option("--only", multiple=True, metavar="CHECK", help="Run only this check; may be repeated.")
@option.table
@option.as_json
def check(
    name: str,
    sets: tuple[str, ...],
    data: Path | None,
    places: tuple[str, ...],
    expected: tuple[str, ...],
    only: tuple[str, ...],
    as_json: bool,
) -> None:
    """Run every check of 'inrkit.testing' on a plugin, or on one of its modalities.

    \b
      inrkit plugins check sonar
      inrkit plugins check image --set width=16 --set hidden=16
      inrkit plugins check nerf --only a_tiny_run_learns

    First whether it loads, in a process of its own; then whether everything that it registers can be imported; then
    the properties that every modality, objective, sampler, source, tracker or feature network must have. Exit code 4
    if a check fails.
    """
    point = _point_of(name)
    from inrkit.config.toml import apply_overrides
    from inrkit.testing import CHECKS, PIECE_CHECKS, cases_of

    known = [*CHECKS, *(check for checks in PIECE_CHECKS.values() for check in checks)]
    for wanted in only:
        if wanted not in known:
            raise UsageError(f"no check named '{wanted}'; there are {', '.join(known)}.{did_you_mean(wanted, known)}")
    results = [] if point == GROUP else [(point, _loads(point))]
    registry = load_plugins()
    entries = [entry for entry in registry.entries() if entry.plugin == point]
    results += [(entry.name, _imported(registry, entry)) for entry in entries]
    how: dict[str, Any] = {"expected_failures": option.pairs("--expect", expected, "CHECK=REASON"), "data": data}
    if places:
        how["request"] = option.pairs("--at", places, "size=24")
    for entry in entries:
        if entry.kind == "modality" and name in (point, entry.name):
            options = apply_overrides(registry.modality(entry.name).Options, {}, sets)
            cases = cases_of(entry.name, options=options, **how)
        else:
            cases = cases_of(entry.name, kind=entry.kind) if entry.kind in PIECE_CHECKS else []
        for case in cases:
            if not only or case.name in only:
                if entry.kind == "modality" and sys.stderr.isatty():
                    note(f"{entry.name}: {case.name}")
                results.append((entry.name, case.result()))
    keys = ("of", "check", "state", "reason", "law", "seconds")
    told = [(of, r.name, r.state, r.reason, r.law, round(r.seconds, 3)) for of, r in results]
    rows = [[of, r.name, r.state, f"{r.seconds:.2f}", r.reason or r.law] for of, r in results]
    facts = [dict(zip(keys, row, strict=True)) for row in told]
    say_result(facts, [Table(["of", "check", "state", "s", "why"], rows)], as_json=as_json)
    bad = [result.name for _, result in results if not result.fine]
    if bad:
        raise PluginError(f"plugin '{point}' breaks {len(bad)} of {len(results)} checks: {', '.join(bad[:4])}")


def _point_of(name: str) -> str:
    """The plugin of this name, which is not loaded yet; or the one that brings the modality of this name."""
    points = sorted({GROUP, *(point.name for point in importlib.metadata.entry_points(group=GROUP))})
    if name in points:
        return name
    registry = load_plugins()
    if name in registry.modalities:
        return registry.modalities[name].plugin
    known = [*points, *registry.modalities]
    raise UsageError(f"no plugin or modality named '{name}'; there are {', '.join(points)}.{did_you_mean(name, known)}")


def _loads(plugin: str) -> "Result":
    """Whether a plugin can be loaded, in a process of its own, which it may end; and leaves all else alone."""
    from inrkit.plugins.sandbox import examine
    from inrkit.testing import Result

    begin = time.perf_counter()
    found = examine(plugin)
    if found.broken is not None:
        raise PluginError(f"plugin '{plugin}' is broken: {found.broken}")
    state: State = "failed" if found.remarks else "passed"
    seconds = time.perf_counter() - begin
    return Result("loads", "Loading it leaves the program alone.", state, "; ".join(found.remarks), seconds)


def _imported(registry: Registry, entry: Entry) -> "Result":
    """Whether what is registered can be imported and is what it should be."""
    from inrkit.testing import Result

    name, law = f"registers_{entry.kind}", f"The {entry.kind} can be imported, and is what it should be."
    try:
        getattr(registry, entry.kind)(entry.name)
    except InrkitError as error:
        return Result(name, law, "failed", str(error), 0.0)
    return Result(name, law, "passed", "", 0.0)
