"""The precision of matrix products: bf16 where the machine is faster with it, else fp32.

Only autocast regions are affected. Weights, norms (their input, the residual stream, is fp32 because the weights are),
losses, gradients, optimizer and averages stay fp32.
"""

import functools
import time
from contextlib import AbstractContextManager

import torch

from inrkit.errors import UsageError

_WORTH_IT = 1.3
"""bf16 products must be this much faster, for autocast itself costs time."""


def choose_precision(wanted: str, device: torch.device) -> str:
    """ "fp32" or "bf16": as wanted, or what suits the device."""
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if cpu_gain() > _WORTH_IT else "fp32"


def choose_device(wanted: str, local_rank: int = 0) -> torch.device:
    """The device that is wanted; "auto" is a GPU, one for each process, when there is one."""
    if wanted == "auto":
        return torch.device("cuda", local_rank) if torch.cuda.is_available() else torch.device("cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise UsageError(f"'device' must be auto, cpu, cuda or cuda:N (got '{wanted}')") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(f"no device '{wanted}': found {torch.cuda.device_count()} CUDA devices; try device = \"cpu\"")
    return torch.device("cuda", local_rank) if wanted == "cuda" else device


@functools.cache
def cpu_gain() -> float:
    """How much faster bf16 matrix products are than fp32 on this processor, measured in some milliseconds."""
    return _seconds(torch.float32) / _seconds(torch.bfloat16)


def _seconds(dtype: torch.dtype) -> float:
    # The best of several, at a size of a transformer's layer: a busy machine can only slow things down.
    a, b = torch.zeros(1024, 256, dtype=dtype), torch.zeros(256, 256, dtype=dtype)
    best = float("inf")
    for _ in range(12):
        start = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - start)
    return best


def autocast(precision: str, device: torch.device) -> AbstractContextManager[None]:
    """The context in which forward passes run."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")


def allow_tf32(device: torch.device) -> None:
    """Lets a GPU's fp32 products use TF32: the papers' networks need no more."""
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
