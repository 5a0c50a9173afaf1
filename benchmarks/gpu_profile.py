"""Where a training step on a GPU spends its time, for an image and a NeRF preset in bf16.

    python benchmarks/gpu_profile.py [--device auto] [--smoke] [--json]

For each: milliseconds of parts of a step, each from an idle device to an idle device; at which lines Python waited for
the device, and how often in a step; and from torch's profiler the 20 operations and the 20 kernels with most time on
the device, the time of all kernels, and how many were launched in a step.
"""

import argparse
import collections
import importlib.util
import itertools
import operator
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from accelerator import Rows, resolved_for, run
from gpu_training import halfway, on_device
from torch.profiler import ProfilerActivity, profile

import inrkit
from inrkit.machine.speed import synchronize
from inrkit.training.learner import Learner

PRESETS = (("image", "celeba-64", 128), ("nerf", "cars", 32))
STEPS, SMALL_BATCH, TOP = 3, 4, 20
_WAITS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize", "aten::_local_scalar_dense")


def main(arguments: list[str] | None = None) -> None:
    run(__doc__, measure, arguments)


def measure(chosen: argparse.Namespace, device: torch.device, rows: Rows) -> None:
    torch.set_float32_matmul_precision("high")
    for modality, preset, batch in PRESETS:
        if modality == "nerf" and importlib.util.find_spec("nerfacc") is None:
            rows.add(what=f"{modality} {preset}", skipped="nerfacc is not installed")
            continue
        batch = SMALL_BATCH if chosen.smoke else batch
        with rows.attempt(f"{modality} {preset}", least=15):
            resolved = resolved_for(modality, preset, device, smoke=chosen.smoke, batch_size=batch)
            learner, step = steps_of(resolved, device)
            for what, looked_at in (("parts", parts), ("waits", waits), ("operations", profiled)):
                with rows.attempt(f"{modality}: {what}", least=5):
                    rows.add(
                        what=f"{modality}: {what}", **looked_at(learner, step, device, 1 if chosen.smoke else STEPS)
                    )
            learner.release()


def steps_of(resolved: inrkit.Resolved, device: torch.device) -> tuple[Learner, Callable[[], object]]:
    """A learner in the middle of its run, warmed up, and a step of it."""
    signals = on_device(resolved.source("train").read(range(resolved.config.batch_size)), device)
    learner, repeated = halfway(resolved, device, "bf16"), itertools.repeat(signals)

    def step() -> None:
        learner.learn(learner.enter_phase(), repeated, stop=False)

    for _ in range(STEPS):
        step()
    return learner, step


def parts(learner: Learner, step: Callable[[], object], device: torch.device, steps: int) -> dict[str, Any]:
    """Milliseconds of what a step does after its gradient, and of all of it."""
    found = collections.defaultdict[str, list[float]](list)
    calls: dict[str, tuple[Any, str]] = {
        "optimizer ms": (learner.optimizer, "step"),
        "average ms": (learner.ema, "update"),
        "observing ms": (learner.modality, "observe"),
    }

    def clocked(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            synchronize(device)
            begin = time.perf_counter()
            result = call(*args, **kwargs)
            synchronize(device)
            found[name].append(1000 * (time.perf_counter() - begin))
            return result

        return timed

    try:
        for what, (owner, name) in calls.items():
            setattr(owner, name, clocked(what, getattr(owner, name)))
        for _ in range(steps):
            clocked("whole ms", step)()
    finally:
        for owner, name in calls.values():
            vars(owner).pop(name, None)
    return {name: min(values) for name, values in found.items()}


def waits(learner: Learner, step: Callable[[], object], device: torch.device, steps: int) -> dict[str, Any]:
    """The lines at which Python waited for a CUDA device in one step, as torch warns of them."""
    if device.type != "cuda":
        return {"lines": {}, "reason": "only CUDA devices tell"}
    lines, before = collections.Counter[str](), torch.cuda.get_sync_debug_mode()

    def note(message: Any, *rest: Any) -> None:
        if "synchroniz" in str(message):
            ours = [frame for frame in traceback.extract_stack() if "/inrkit" in frame.filename]
            lines[f"{'/'.join(Path(ours[-1].filename).parts[-3:])}:{ours[-1].lineno}" if ours else "elsewhere"] += 1

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = note  # type: ignore[assignment]  # it looks at the message alone
        torch.cuda.set_sync_debug_mode("warn")
        try:
            step()
        finally:
            torch.cuda.set_sync_debug_mode(before)
    return {"count": lines.total(), "lines": dict(lines.most_common())}


def profiled(learner: Learner, step: Callable[[], object], device: torch.device, steps: int) -> dict[str, Any]:
    """Torch's profile of some steps, each figure that of one step."""
    kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device.type == "cuda" else [])]
    synchronize(device)
    begin = time.perf_counter()
    with profile(activities=kinds) as found:
        for _ in range(steps):
            step()
        synchronize(device)
    seconds = (time.perf_counter() - begin) / steps
    events = [event for event in found.key_averages() if "#" not in event.key]  # those with # are spans of others
    kernels = [event for event in events if "CUDA" in str(event.device_type)]
    counts = {event.key: event.count / steps for event in events}
    return {
        "ms/step, profiled": 1000 * seconds,
        "ms/step of kernels": sum(event.self_device_time_total for event in kernels) / steps / 1000,
        "launches": sum(count for name, count in counts.items() if "LaunchKernel" in name),
        "waits": {name: counts[name] for name in _WAITS if name in counts},
        "copies": {name: count for name, count in counts.items() if name.startswith("Memcpy")},
        "top operations": most_of([event for event in events if event not in kernels], device, steps),
        "top kernels": most_of(kernels, device, steps),
    }


def most_of(events: list[Any], device: torch.device, steps: int) -> list[dict[str, Any]]:
    """Those that take most of the device's time, less that of others that they call."""
    time_of = operator.attrgetter("self_cpu_time_total" if device.type == "cpu" else "self_device_time_total")
    most = sorted(events, key=time_of, reverse=True)[:TOP]
    return [{"name": e.key[:120], "ms": time_of(e) / steps / 1000, "count": e.count / steps} for e in most]


if __name__ == "__main__":
    main()
