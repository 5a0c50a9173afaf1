"""The process's memory: kept from step to step, and how much of it there was at most."""

import contextlib
import ctypes
import functools
import os
import sys
from pathlib import Path

import torch

from inrkit.errors import ResourceError

# glibc's names for what is set, and the values: blocks of up to 32 MiB come from the heap, which is never trimmed.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGEST_BLOCK, _NEVER = 1 << 25, (1 << 31) - 1


@functools.cache
def keep_freed_memory() -> bool:
    """Whether freed memory is kept from now on; only glibc can be told, and a user's own MALLOC_... settings win.

    By default every large activation is mapped anew in each step, and the system fills its pages with zeros: on a
    processor that costs a fifth of a small model's step.
    """
    if not sys.platform.startswith("linux") or any(
        name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ
    ):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _LARGEST_BLOCK)) and bool(mallopt(_TRIM_THRESHOLD, _NEVER))


def forget_peak(device: torch.device) -> None:
    """Lets `peak_memory` begin anew, where the system can."""
    if (reset := getattr(torch.get_device_module(device), "reset_peak_memory_stats", None)) is not None:
        reset(device)
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory(device: torch.device) -> int | None:
    """Most bytes held at once: by torch on CUDA and XPU, else by the whole process; None where nobody says."""
    if (most := getattr(torch.get_device_module(device), "max_memory_allocated", None)) is not None:
        return int(most(device))
    with contextlib.suppress(OSError):
        lines = Path("/proc/self/status").read_text().splitlines()
        return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM")), None)
    try:
        import resource
    except ImportError:  # not a system of the Unix kind
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most


def require_memory(needed: int, device: torch.device, what: str, advice: str) -> None:
    """`ResourceError` for what cannot fit into the memory that is free, with the bytes of both; before it is begun."""
    free = free_memory(device)
    if free is not None and needed > free:
        raise ResourceError(
            f"expected {what} that fits into the memory of '{device}', {shown_gib(free)} of which are free; found one "
            f"that needs {shown_gib(needed)} or more; {advice}"
        )


def shown_gib(count: float) -> str:
    """A number of bytes as people read it."""
    return f"{count / 2**30:,.1f} GiB"


def free_memory(device: torch.device) -> int | None:
    """Bytes that can still be had: of an accelerator, or of the machine and its container; None where nobody says."""
    if device.type != "cpu":
        told = getattr(torch.get_device_module(device), "mem_get_info", None)
        return None if told is None else int(told(device)[0])
    found = []
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        found.append(next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable")))
    with contextlib.suppress(OSError, ValueError):  # "max" where there is no limit
        control = Path("/sys/fs/cgroup")
        most = int((control / "memory.max").read_text())
        found.append(most - int((control / "memory.current").read_text()))
    return min(found, default=None)
