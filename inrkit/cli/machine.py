"""What ``inrkit doctor`` finds out: facts about this machine and this installation."""

import importlib.metadata
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

import inrkit
from inrkit.cli.plugins import version_of
from inrkit.machine.speed import matmul_rates

PACKAGES = ("torch", "numpy", "attrs", "pluggy", "click", "h5py", "kornia", "nerfacc", "safetensors", "pillow")
_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "amx_tile", "asimd", "bf16", "sve")


def versions() -> dict[str, Any]:
    """Versions of what we are built on; None for what is missing."""
    ours = {"inrkit": inrkit.__version__, "python": platform.python_version()}
    return {**ours, **{name: version_of(name) for name in PACKAGES}}


def extras() -> dict[str, bool]:
    """Whether all packages of each of our extras are installed."""
    found: dict[str, bool] = {}
    for line in importlib.metadata.requires("inrkit") or []:
        if asked := re.match(r"([\w.-]+).*\bextra == ['\"]([\w-]+)['\"]", line):
            found[asked[2]] = found.get(asked[2], True) and version_of(asked[1]) is not None
    return {name: whole for name, whole in found.items() if name != "dev"}


def processor() -> dict[str, Any]:
    """The processor: its name, the instructions that matter for matrix products, cores and threads."""
    name, flags = _cpuinfo()
    return {
        "name": name or platform.processor() or platform.machine(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "instructions": [flag for flag in _FLAGS if flag in flags],
        "cores": os.cpu_count(),
        "usable_cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
    }


def build() -> dict[str, Any]:
    """How torch was built, and what it can use."""
    return {
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version() if torch.cuda.is_available() else None,
        "mkldnn": torch.backends.mkldnn.is_available(),
        "distributed": torch.distributed.is_available(),
    }


def gpus() -> list[dict[str, Any]]:
    """Each GPU that torch can use."""
    found = []
    for number in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        facts = torch.cuda.get_device_properties(number)
        about = {"name": facts.name, "memory": facts.total_memory, "capability": f"{facts.major}.{facts.minor}"}
        found.append({**about, "gflops": rates(torch.device("cuda", number))})
    return found


def rates(device: torch.device) -> dict[str, float]:
    """Measured matrix products, in 10⁹ floating-point operations per second."""
    return {name: rate / 1e9 for name, rate in matmul_rates(device).items()}


def torchvision_warning() -> str | None:
    """Why the torchvision that is installed beside torch does harm, if it does.

    inrkit does not use it, but other packages import it where it is found, and fail with it.
    """
    if (version := version_of("torchvision")) is None:
        return None
    try:
        child = subprocess.run(
            [sys.executable, "-c", "import torchvision"], capture_output=True, text=True, timeout=60, check=False
        )
    except subprocess.TimeoutExpired:
        return f"torchvision {version} takes over a minute to import; inrkit does not need it"
    if child.returncode == 0:
        return None
    reason = (child.stderr.strip().splitlines() or ["no reason given"])[-1]
    return (
        f"torchvision {version} does not work with torch {torch.__version__} ({reason[:100]}); inrkit does not need "
        "it, but packages that import it fail: uninstall it or install the matching build"
    )


def _cpuinfo() -> tuple[str | None, set[str]]:
    try:
        text = Path("/proc/cpuinfo").read_text(errors="replace")
    except OSError:
        return None, set()
    lines = [line.partition(":") for line in text.splitlines()]
    facts = {key.strip().lower(): value.strip() for key, _, value in lines}
    return facts.get("model name"), set(facts.get("flags", facts.get("features", "")).split())
