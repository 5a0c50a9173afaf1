"""``inrkit plugins check``."""

import sys
import time
from pathlib import Path
from typing import Any

import click

from inrkit.cli import option
from inrkit.cli.output import note, say_json, say_table
from inrkit.errors import InrkitError, PluginError, UsageError, did_you_mean
from inrkit.plugins import GROUP, Registry, load_plugins
from inrkit.plugins.registry import Entry


@click.command()
@click.argument("name")
@click.option(
    "--set", "sets", multiple=True, metavar="KEY=VALUE", help="Set an option of the modality, to make it small."
)
@click.option(
    "--data", type=click.Path(path_type=Path), help="Data set (a store), for a modality without synthetic signals."
)
@click.option("--at", "places", multiple=True, metavar="KEY=VALUE", help="Where to render signals. [default: size=24]")
@click.option(
    "--expect",
    "expected",
    multiple=True,
    metavar="CHECK=REASON",
    help="A check that is expected to fail, with the reason; may be repeated.",
)
@click.option("--only", multiple=True, metavar="CHECK", help="Run only this check; may be repeated.")
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

    First whether it loads, in a process of its own; then whether everything that it registers can be imported; then
    the properties that every modality, objective, sampler, source, tracker or feature network must have. Exit code 4
    if a check fails.

    \b
      inrkit plugins check image --set width=16 --set hidden=16
      inrkit plugins check nerf --only a_tiny_run_learns
    """
    from inrkit.testing import CHECKS, PIECE_CHECKS

    known = [*CHECKS, *(check for checks in PIECE_CHECKS.values() for check in checks)]
    for wanted in only:
        if wanted not in known:
            raise UsageError(f"no check named '{wanted}'; there are {', '.join(known)}.{did_you_mean(wanted, known)}")
    point = _point_of(name)
    rows = [] if point == GROUP else [_loads(point)]
    registry = load_plugins()
    entries = [entry for entry in registry.entries() if entry.plugin == point]
    rows += [_imported(registry, entry) for entry in entries]
    how: dict[str, Any] = {"data": data, "expected_failures": _pairs(expected, "--expect")}
    if places:
        how["request"] = _pairs(places, "--at")
    for entry in entries:
        if entry.kind == "modality" and name in (point, entry.name):
            rows += _kept(entry.name, sets, only, how)
        elif entry.kind in PIECE_CHECKS:
            rows += _piece(entry, only)
    if as_json:
        say_json(rows)
    else:
        say_table(
            ["of", "check", "state", "s", "why"],
            [
                [row["of"], row["check"], row["state"], f"{row['seconds']:.2f}", row["reason"] or row["law"]]
                for row in rows
            ],
        )
    bad = [row["check"] for row in rows if row["state"] in ("failed", "surprise")]
    if bad:
        raise PluginError(f"plugin '{point}' breaks {len(bad)} of {len(rows)} checks: {', '.join(bad[:4])}")


def _point_of(name: str) -> str:
    """The plugin of this name, which is not loaded yet; or the one that brings the modality of this name."""
    import importlib.metadata

    points = sorted({GROUP, *(point.name for point in importlib.metadata.entry_points(group=GROUP))})
    if name in points:
        return name
    registry = load_plugins()
    if name in registry.modalities:
        return registry.modalities[name].plugin
    known = [*points, *registry.modalities]
    raise UsageError(f"no plugin or modality named '{name}'; there are {', '.join(points)}.{did_you_mean(name, known)}")


def _loads(plugin: str) -> dict[str, Any]:
    """Whether a plugin can be loaded, in a process of its own, which it may end; and leaves all else alone."""
    from inrkit.plugins.sandbox import examine

    begin = time.perf_counter()
    found = examine(plugin)
    if found.broken is not None:
        raise PluginError(f"plugin '{plugin}' is broken: {found.broken}")
    state, law = "failed" if found.remarks else "passed", "Loading it leaves the program alone."
    return _row(plugin, "loads", state, "; ".join(found.remarks), law, time.perf_counter() - begin)


def _imported(registry: Registry, entry: Entry) -> dict[str, Any]:
    """Whether what is registered can be imported and is what it should be."""
    state, reason = "passed", ""
    try:
        getattr(registry, entry.kind)(entry.name)
    except InrkitError as error:
        state, reason = "failed", str(error)
    law = f"The {entry.kind} can be imported, and is what it should be."
    return _row(entry.name, f"registers_{entry.kind}", state, reason, law, 0.0)


def _piece(entry: Entry, only: tuple[str, ...]) -> list[dict[str, Any]]:
    """The laws of an objective, a sampler, a source, a tracker or a network."""
    from inrkit.testing import cases_of

    cases = [case for case in cases_of(entry.name, kind=entry.kind) if not only or case.name in only]
    results = [case.result() for case in cases]
    return [_row(entry.name, r.name, r.state, r.reason, r.law, r.seconds) for r in results]


def _kept(modality: str, sets: tuple[str, ...], only: tuple[str, ...], how: dict[str, Any]) -> list[dict[str, Any]]:
    """The laws of a modality; which check is being made is said on the way."""
    from inrkit.config.toml import apply_overrides
    from inrkit.testing import cases_of

    options = apply_overrides(load_plugins().modality(modality).Options, {}, sets)
    rows = []
    for case in cases_of(modality, options=options, **how):
        if not only or case.name in only:
            if sys.stderr.isatty():
                note(f"{modality}: {case.name}")
            result = case.result()
            rows.append(_row(modality, case.name, result.state, result.reason, result.law, result.seconds))
    return rows


def _row(of: str, check: str, state: str, reason: str, law: str, seconds: float) -> dict[str, Any]:
    return {"of": of, "check": check, "state": state, "reason": reason, "law": law, "seconds": round(seconds, 3)}


def _pairs(texts: tuple[str, ...], flag: str) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    for key, equals, _ in pairs:
        if not key or not equals:
            raise UsageError(f"'{flag}' takes NAME=VALUE (got '{key}')")
    return {key: value for key, _, value in pairs}
