"""Where to compute, and in which number format: bf16 matrix products where the machine is faster with them, else fp32.

Only autocast regions are affected. Weights, norms (their input, the residual stream, is fp32 because the weights are),
losses, gradients, optimizer and averages stay fp32.
"""

import contextlib
import functools
import timeit
from collections.abc import Iterator
from contextlib import AbstractContextManager

import torch

from inrkit.core.option import check_device
from inrkit.errors import UsageError

_WORTH_IT = 1.3
"""bf16 products must be this much faster, for autocast itself costs time."""


def choose_device(name: str, local_rank: int = 0) -> torch.device:
    """The device of this name; "auto" is the machine's accelerator (CUDA, Apple's MPS, Intel's XPU), else the CPU.

    Of several accelerators each process of a run has its own, unless the name has a number.
    """
    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    check_device(name)
    device = torch.device("cpu" if found is None else found.type) if name == "auto" else torch.device(name)
    if device.type == "cpu":
        return device
    count = torch.accelerator.device_count() if found is not None and found.type == device.type else 0
    if count <= (device.index or 0):
        raise UsageError(f"no device '{name}': found {count} {device.type.upper()} devices; try device = \"cpu\"")
    if device.index is None and count <= local_rank:
        raise UsageError(
            f"process {local_rank} has no {device.type.upper()} device of its own, found {count}; start fewer"
        )
    return device if device.index is not None or device.type == "mps" else torch.device(device.type, local_rank)


def choose_precision(name: str, device: torch.device) -> str:
    """ "fp32" or "bf16": the one that is named, or for "auto" what suits the device."""
    if name != "auto":
        return name
    if device.type == "cpu":
        fast = cpu_gain() > _WORTH_IT
    elif device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = device.type == "xpu" and torch.xpu.is_bf16_supported()
    return "bf16" if fast else "fp32"


@functools.cache
def cpu_gain() -> float:
    """How much faster bf16 matrix products are than fp32 on this processor, measured in some milliseconds."""
    return _seconds(torch.float32) / _seconds(torch.bfloat16)


def _seconds(dtype: torch.dtype) -> float:
    # The best of several, at a size of a transformer's layer: a busy machine can only slow things down.
    a, b = torch.zeros(1024, 256, dtype=dtype), torch.zeros(256, 256, dtype=dtype)
    return min(timeit.repeat(lambda: a @ b, number=1, repeat=12))


def autocast(precision: str, device: torch.device) -> AbstractContextManager[None]:
    """The context in which forward passes run."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")


@contextlib.contextmanager
def tf32(device: torch.device) -> Iterator[None]:
    """Inside, a CUDA device's fp32 products use TF32: the papers' networks need no more."""
    before = torch.get_float32_matmul_precision()
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
