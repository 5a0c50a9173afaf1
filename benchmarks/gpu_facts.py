"""What a GPU can do at most: rates of matrix products and of memory, and what a launch and a wait cost.

    python benchmarks/gpu_facts.py [--device auto] [--smoke] [--json]

The other benchmarks of a GPU are read beside these figures. "faces" is the time in which the processor draws a batch of
the built-in faces, which no training step can be faster than.
"""

import argparse
import os
import platform
import shutil
import subprocess
import time
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from accelerator import Rows, median_seconds, product_rates, resolved_for, run
from torch.nn import functional as F

from inrkit.machine.precision import choose_precision

PACKAGES = "torch numpy attrs pluggy click h5py kornia kornia-rs nerfacc safetensors rich pillow tomli-w triton pytest"


def main(arguments: list[str] | None = None) -> None:
    run(__doc__, measure, arguments)


def measure(chosen: argparse.Namespace, device: torch.device, rows: Rows) -> None:
    rows.add(what="machine", **machine(device))
    rows.add(what="packages", **{name: version_of(name) for name in PACKAGES.split()})
    with rows.attempt("nvidia-smi"):
        rows.add(what="nvidia-smi", text=told_by("nvidia-smi"))
    with rows.attempt("matrix products"):
        rates = product_rates(device, smoke=chosen.smoke)
        rows.add(what="matrix products", **{f"{name} TFLOP/s": rate / 1e12 for name, rate in rates.items()})
    with rows.attempt("memory"):
        rows.add(what="memory", **memory(device, 1 << (12 if chosen.smoke else 28)))
    with rows.attempt("attention"):
        rows.add(what="attention", **attention(device, smoke=chosen.smoke))
    with rows.attempt("faces"):
        source = resolved_for("image", "celeba-64", device, smoke=chosen.smoke).source("train")
        begin = time.perf_counter()
        source.read(range(32))
        rows.add(what="faces", **{"ms/face": 1000 * (time.perf_counter() - begin) / 32, "size": "64x64"})


def machine(device: torch.device) -> dict[str, Any]:
    """Names and versions; nothing that tells one machine of a kind from another."""
    facts: dict[str, Any] = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "CUDA of torch": torch.version.cuda,
        "nvcc": told_by("nvcc", "--version").splitlines()[-1:] if shutil.which("nvcc") else None,
        "device": str(device),
        "precision auto": choose_precision("auto", device),
    }
    if device.type == "cuda":
        card = torch.cuda.get_device_properties(device)
        facts |= {
            "card": card.name,
            "capability": f"{card.major}.{card.minor}",
            "GB": card.total_memory / 1e9,
            "processors": card.multi_processor_count,
            "cards": torch.cuda.device_count(),
            "cuDNN": torch.backends.cudnn.version(),
        }
    return facts


def version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def told_by(*command: str) -> str:
    """What a program prints; the reason where it cannot be run."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20).stdout[-4000:]
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)


def memory(device: torch.device, count: int) -> dict[str, float]:
    """GB/s within the device and to and from it, and microseconds of one small operation queued, and waited for."""
    here, there = torch.zeros(count, device=device), torch.zeros(count, device=device)
    on_host = torch.zeros(count, pin_memory=device.type == "cuda")
    pageable, one = torch.zeros(count), torch.zeros(1, device=device)
    size = 4 * count / 1e9

    def queue() -> None:
        for _ in range(100):
            one.add_(1)

    return {
        "copy GB/s": 2 * size / median_seconds(lambda: there.copy_(here), device, 5),
        "from pinned GB/s": size / median_seconds(lambda: here.copy_(on_host, non_blocking=True), device, 5),
        "from pageable GB/s": size / median_seconds(lambda: here.copy_(pageable), device, 5),
        "launch us": 1e4 * median_seconds(queue, device, 5),
        "item us": 1e6 * median_seconds(one.item, device, 20),
    }


def attention(device: torch.device, *, smoke: bool) -> dict[str, float]:
    """TFLOP/s of fused attention in bf16, forward and backward, at the lengths of the encoder and of the INR."""
    found = {}
    for name, heads, n, m in (("encoder", 12, 256, 256), ("places", 6, 4096, 256)):
        rows, n = (2, 64) if smoke else (64, n)
        made = (torch.randn(rows, heads, length, 64, device=device).bfloat16() for length in (n, m, m))
        inputs = tuple(x.requires_grad_() for x in made)

        def both(inputs: Any = inputs) -> None:
            torch.autograd.grad(F.scaled_dot_product_attention(*inputs).sum(), inputs)

        work = 2 * rows * heads * n * m * 64
        found[f"{name} forward TFLOP/s"] = 2 * work / 1e12 / forward_seconds(inputs, device)
        found[f"{name} both TFLOP/s"] = 7 * work / 1e12 / median_seconds(both, device, 5)
    return found


@torch.no_grad()
def forward_seconds(inputs: Any, device: torch.device) -> float:
    return median_seconds(lambda: F.scaled_dot_product_attention(*inputs), device, 5)


if __name__ == "__main__":
    main()
