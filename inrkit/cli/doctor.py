"""``inrkit doctor``."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from inrkit.cli import option
from inrkit.cli.help import command
from inrkit.cli.output import bar, shown, shown_bytes
from inrkit.cli.plugins import describe
from inrkit.cli.table import Table, say_result
from inrkit.plugins import load_plugins
from inrkit.progress import Progress, quiet

_DEMO = 5  # minutes, as the Makefile has them


@command()
@option.table
@option.as_json
def doctor(as_json: bool) -> None:
    """Examine this machine and this installation.

    \b
      inrkit doctor
      inrkit doctor --json > machine.json
      inrkit doctor --table machine.csv

    Measures the speed of matrix products and of a training step of the demo, says which device and precision 'auto'
    stands for, and warns of likely problems. Please put its output into bug reports. How long anything else trains here
    is said by 'inrkit train --dry-run'.
    """
    with bar("examining this machine") as progress:
        facts = examine(progress)
    warnings = "\n".join(f"warning: {warning}" for warning in facts["warnings"]) or "no warnings"
    say_result(facts, [Table(["what", ""], _rows(facts), warnings)], as_json=as_json)


def examine(progress: Progress = quiet) -> dict[str, Any]:
    """Everything that doctor tells, as JSON can hold it."""
    import torch

    from inrkit.cli import machine
    from inrkit.machine.precision import choose_device, choose_precision

    device, room = choose_device("auto"), shutil.disk_usage(Path.cwd())
    parts: dict[str, Callable[[], Any]] = {
        "versions": machine.versions,
        "extras": machine.extras,
        "torch": machine.build,
        "processor": lambda: {**machine.processor(), "gflops": machine.rates(torch.device("cpu"))},
        "gpus": machine.gpus,
        "auto": lambda: {"device": str(device), "precision": choose_precision("auto", device)},
        "demo": _demo,
        "disk": lambda: {"path": str(Path.cwd()), "free": room.free, "total": room.total},
        "plugins": lambda: describe(load_plugins()),
        "torchvision": machine.torchvision_warning,
    }
    facts = {}
    for done, (name, find) in enumerate(parts.items(), 1):
        facts[name] = find()
        progress(done, len(parts))
    return {"warnings": _warnings(facts, facts.pop("torchvision")), **facts}


def _demo() -> dict[str, Any]:
    """What `make demo` can do here in its five minutes."""
    from inrkit.errors import UsageError
    from inrkit.training.budget import steps_within
    from inrkit.training.forecast import dry_run

    forecast = dry_run(modality="image")
    try:
        steps = steps_within(_DEMO, forecast.seconds)
    except UsageError:
        steps = 0
    shown = {key: getattr(forecast, key) for key in ("batch_size", "precision", "seconds", "share")}
    return {"minutes": _DEMO, "steps": steps, **shown}


def _warnings(facts: dict[str, Any], torchvision: str | None) -> list[str]:
    warnings = [] if torchvision is None else [torchvision]
    missing = [name for name, version in facts["versions"].items() if version is None]
    warnings += [f"{name} is not installed: pip install {name}" for name in missing]
    warnings += [f"plugin '{row['plugin']}': {row['reason']}" for row in facts["plugins"] if row["state"] != "works"]
    if facts["disk"]["free"] < 2 << 30:
        warnings.append(f"only {shown_bytes(facts['disk']['free'])} are free at {facts['disk']['path']}")
    processor = facts["processor"]
    if processor["threads"] > processor["usable_cores"]:
        warnings.append(
            f"{processor['threads']} threads on {processor['usable_cores']} usable cores slow each other down: "
            f"set OMP_NUM_THREADS={processor['usable_cores']}"
        )
    if not facts["demo"]["steps"]:
        warnings.append(f"a step of the demo takes {facts['demo']['seconds']:.0f} s: too slow for 'make demo'")
    return warnings


def _rows(facts: dict[str, Any]) -> list[list[str]]:
    cpu, build, disk, demo = (facts[name] for name in ("processor", "torch", "disk", "demo"))
    rows = [
        ["versions", shown(facts["versions"])],
        ["extras", ", ".join(f"{name}{'' if has else ' (not installed)'}" for name, has in facts["extras"].items())],
        ["torch build", f"CUDA {build['cuda']}" if build["cuda"] else "CPU only"],
        ["processor", f"{cpu['name']}, {shown(cpu['instructions'])}"],
        ["cores", f"{cpu['usable_cores']} usable of {cpu['cores']}; torch uses {cpu['threads']} threads"],
        ["CPU matrix products", _shown_rates(cpu["gflops"])],
    ]
    gpus = [f"{gpu['name']}, {shown_bytes(gpu['memory'])}, {_shown_rates(gpu['gflops'])}" for gpu in facts["gpus"]]
    rows += [["GPU", gpu] for gpu in gpus or ["none that torch can use"]]
    rows += [
        ["'auto' means", f"device {facts['auto']['device']}, precision {facts['auto']['precision']}"],
        ["'make demo'", f"{demo['minutes']} minutes: about {demo['steps']} steps of {demo['seconds']:.2g} s"],
        [
            "a step of it",
            f"{demo['batch_size']} faces, at {demo['share']:.0%} of the rate of {demo['precision']} products",
        ],
        ["disk", f"{shown_bytes(disk['free'])} free of {shown_bytes(disk['total'])} at {disk['path']}"],
    ]
    rows += [[f"plugin {row['plugin']}", row["reason"] or row["state"]] for row in facts["plugins"]]
    return rows


def _shown_rates(rates: dict[str, float]) -> str:
    return f"fp32 {rates['fp32']:.0f}, bf16 {rates['bf16']:.0f} GFLOP/s ({rates['bf16'] / rates['fp32']:.1f} times)"
