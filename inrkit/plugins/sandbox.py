"""What a plugin does while it is loaded, seen from outside: it is loaded in a process of its own, which it may end.

    python -m inrkit.plugins.sandbox PLUGIN REPORT [MODULE ...]

loads one plugin after those modules and writes what was found into a file; `examine` runs that and reads it.
"""

import json
import logging
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import attrs

from inrkit.plugins import loading
from inrkit.plugins.loading import VARIABLE, discover, installed

LIMIT = 5.0
"""Seconds that a plugin may take to load."""
_SLOW = 1.0  # seconds that are worth a remark: every command waits for them
_START = 15.0  # seconds for the process itself, on a slow machine


@final
@attrs.frozen
class Examined:
    """How a plugin behaves: why it cannot be used, if it cannot, and what it should leave alone."""

    broken: str | None
    remarks: tuple[str, ...] = ()
    torch: bool = False
    """Whether it imports torch."""


def examine(plugin: str) -> Examined:
    """Load one plugin in a process of its own, and watch it."""
    found = _watched(plugin)
    if found.broken is None and found.torch:
        again = _watched(plugin, "torch")  # what it changes in torch shows only where torch was there before
        return Examined(again.broken, tuple(dict.fromkeys((*found.remarks, *again.remarks))))
    return found


def _watched(plugin: str, *first: str) -> Examined:
    environment = {**os.environ, VARIABLE: plugin, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", __name__, plugin, str(report), *first]
        try:
            child = subprocess.run(
                command, env=environment, capture_output=True, text=True, errors="replace", timeout=LIMIT + _START
            )
        except subprocess.TimeoutExpired:
            return Examined(f"it does not load within {LIMIT:g} s")
        found = json.loads(report.read_text()) if report.exists() else None
    if found is None:
        code = child.returncode
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return Examined(f"it ends the process that loads it ({how}); uninstall it, or leave it out of {VARIABLE}")
    broken, remarks = found["broken"], tuple(found["remarks"])
    if broken is None and found["seconds"] > LIMIT:
        broken = f"it takes longer than {LIMIT:g} s to load"
    if broken is None and child.stdout:
        broken = f"it prints while it is loaded: {_short(child.stdout)!r}"
    if child.stderr:
        remarks += (f"it writes to stderr while it is loaded: {_short(child.stderr)!r}",)
    return Examined(broken, remarks, found["torch"])


def _short(text: str) -> str:
    return " ".join(text.split())[:60]


# ---------------------------------------------------------------------------------------------- in the process


def shared() -> dict[str, Any]:
    """What all of a program shares, and an import should leave alone."""
    root = logging.getLogger()
    found: dict[str, Any] = {
        "the working directory": os.getcwd(),
        "the handlers of signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        "sys.excepthook": sys.excepthook,
        "the recursion limit": sys.getrecursionlimit(),
        "the state of random": random.getstate(),
        "the handlers of logging": list(root.handlers),
        "the level of logging": root.level,
        # Narrow filters are welcome: a library may silence a message of its own.
        "filters of all warnings": [entry for entry in warnings.filters if entry[1] is None and entry[3] is None],
        **{f"the environment variable {name}": value for name, value in os.environ.items()},
    }
    if (torch := sys.modules.get("torch")) is not None:
        found |= {
            "torch's default type": torch.get_default_dtype(),
            "torch's threads": torch.get_num_threads(),
            "torch's gradient mode": torch.is_grad_enabled(),
            "torch's random state": torch.get_rng_state().tolist(),
        }
    return found


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The names of what differs."""
    absent = object()
    return [name for name in {**before, **after} if before.get(name, absent) != after.get(name, absent)]


def _load(plugin: str) -> dict[str, Any]:
    had_torch, before = "torch" in sys.modules, shared()
    begin = time.perf_counter()
    registry = discover(installed([]), [plugin])
    seconds, torch = time.perf_counter() - begin, not had_torch and "torch" in sys.modules
    after, remarks = shared(), [remark for remarks in registry.loaded.values() for remark in remarks]
    if torch:
        remarks.append("it imports torch, for which every command would wait; import it where it is used")
        after = {name: value for name, value in after.items() if not name.startswith("torch's")}
    elif seconds > _SLOW:
        remarks.append(f"it takes {seconds:.1f} s to load, as every command does with it; import where it is used")
    if changed := changes(before, after):
        remarks.append(f"it changes {', '.join(changed)}")
    broken = next((broken.reason for broken in registry.broken if broken.plugin == plugin), None)
    return {"broken": broken, "remarks": remarks, "seconds": seconds, "torch": torch}


def main(plugin: str, report: str, *first: str) -> None:
    """The program: loads, writes the report, and ends whatever the plugin has left behind."""
    loading.PATIENCE = 3600.0  # the report says how long it takes
    for module in first:
        __import__(module)
    Path(report).write_text(json.dumps(_load(plugin)))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # without waiting for threads, which the report names


if __name__ == "__main__":
    main(*sys.argv[1:])
