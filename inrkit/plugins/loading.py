"""From the installed entry points to a `Registry`: each plugin is imported, and its hooks called, on its own."""

import contextlib
import functools
import importlib.metadata
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

from inrkit.errors import UsageError, did_you_mean
from inrkit.plugins import own
from inrkit.plugins.offering import offer, refuse_duplicates, refuse_version, written_version
from inrkit.plugins.registry import KINDS, Broken, Entry, Registry, reason_of

GROUP = "inrkit"
VARIABLE = "INRKIT_PLUGINS"
PATIENCE = 5.0
"""Seconds after which whoever waits for a plugin is told for which."""

left_running: list[threading.Thread] = []
"""Threads that plugins started while they were imported, and that keep a program from ending."""


def load_plugins() -> Registry:
    """The registry of the installed plugins that ``INRKIT_PLUGINS`` allows; found once for each of its settings."""
    return _load(os.environ.get(VARIABLE))


@functools.cache
def _load(wanted: str | None) -> Registry:
    names = None if wanted is None else [name.strip() for name in wanted.split(",") if name.strip()]
    unreadable: list[Broken] = []
    with contextlib.redirect_stdout(sys.stderr):  # only results go to stdout
        return discover(installed(unreadable), names, unreadable)


def installed(unreadable: list[Broken]) -> list[EntryPoint]:
    """All entry points of our group; a distribution whose metadata cannot be read is added to ``unreadable``."""
    try:
        return list(importlib.metadata.entry_points(group=GROUP))
    except Exception:  # which distribution it is, is only found out one by one
        points: dict[tuple[str, str], EntryPoint] = {}
        for distribution in importlib.metadata.distributions():
            try:
                name = str(distribution.metadata["Name"])
                for point in distribution.entry_points.select(group=GROUP):
                    points.setdefault((name, point.name), point)
            except Exception as error:
                name = Path(str(getattr(distribution, "_path", "unknown distribution"))).name
                unreadable.append(Broken(name, name, f"its metadata cannot be read: {reason_of(error)}"))
        return list(points.values())


def discover(
    points: Iterable[EntryPoint], wanted: Iterable[str] | None = None, unreadable: Iterable[Broken] = ()
) -> Registry:
    """Load these entry points, or those named in ``wanted``; built-in plugins come first and so keep their names."""
    ordered = sorted(points, key=lambda point: (_distribution(point) != GROUP, _distribution(point), point.name))
    ordered = ordered if wanted is None else _chosen(ordered, list(wanted))
    entries: dict[str, dict[str, Entry]] = {kind: {} for kind in KINDS}
    for entry in offer(own, (GROUP, GROUP), []):
        entries[entry.kind][entry.name] = entry
    loaded: dict[tuple[str, str], tuple[str, ...]] = {(GROUP, GROUP): ()}
    broken = list(unreadable)
    for point in ordered:
        origin, offered = (point.name, _distribution(point)), list[Entry]()
        try:
            with _waiting(*origin) as threads:
                refuse_version(written_version(point.module))
                plugin = point.load()
                refuse_version(getattr(plugin, "INRKIT_API", None))
                offer(plugin, origin, offered)
            refuse_duplicates(entries, offered)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # also SystemExit: a plugin that calls sys.exit must not end the program
            broken.append(Broken(*origin, reason_of(error), tuple(dict.fromkeys(entry.name for entry in offered))))
            continue
        running = f"it leaves a thread running: {', '.join(thread.name for thread in threads)}" if threads else ""
        nothing = "" if offered else _why_nothing(plugin)
        loaded[origin] = tuple(filter(None, (running, nothing)))
        for entry in offered:
            entries[entry.kind][entry.name] = entry
    return Registry(entries, loaded, tuple(broken))


@contextlib.contextmanager
def _waiting(plugin: str, distribution: str) -> Iterator[list[threading.Thread]]:
    """Says for whom a program waits, after a while or when it is interrupted; gives the threads that are left."""
    who = f"plugin '{plugin}' of {distribution}; '--plugins' or {VARIABLE} with the names of others leaves it out"
    clock = threading.Timer(PATIENCE, lambda: print(f"inrkit: waiting for {who}", file=sys.__stderr__, flush=True))
    clock.daemon = True
    before, found = set(threading.enumerate()), list[threading.Thread]()
    clock.start()
    try:
        yield found
    except KeyboardInterrupt:
        print(f"inrkit: interrupted while loading {who}", file=sys.stderr)
        raise
    finally:
        clock.cancel()
        found += [thread for thread in threading.enumerate() if thread not in {*before, clock} and not thread.daemon]
        left_running.extend(found)


def _chosen(points: list[EntryPoint], wanted: list[str]) -> list[EntryPoint]:
    known = {point.name for point in points}
    for name in wanted:
        if name not in known and name != GROUP:
            listed = ", ".join(sorted(known)) or "none"
            raise UsageError(f"no plugin named '{name}'; installed: {listed}.{did_you_mean(name, known)}")
    return [point for point in points if point.name in set(wanted)]


def _distribution(point: EntryPoint) -> str:
    return (point.dist and point.dist.name) or "unknown distribution"


def _why_nothing(plugin: object) -> str:
    """What is wrong with a plugin that registers nothing."""
    folders = [*getattr(plugin, "__path__", ())]
    if folders and getattr(plugin, "__file__", None) is None:
        return f"instead of it the folder {folders[0]} is found, which has its name and no code; rename the folder"
    return "it registers nothing; mark its hooks with @inrkit.hookimpl"
