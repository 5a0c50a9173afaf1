"""Whether nerfacc's CUDA kernels can be had on this machine, and what they are worth.

    python benchmarks/gpu_kernels.py [--device auto] [--smoke] [--json]

Where there is nvcc they are compiled, which takes minutes; without it rays are integrated in plain torch. Where they
load, both ways integrate the same rays, a quarter of whose samples are not empty; "differ" is by how much at most.
"""

import argparse
import functools
import shutil
import time

import torch
from accelerator import Rows, median_seconds, run

from inrkit_nerf.integrate import _batched, _packed, packed_works

RAYS, SAMPLES = 1 << 15, 64


def main(arguments: list[str] | None = None) -> None:
    run(__doc__, measure, arguments)


@torch.no_grad()
def measure(chosen: argparse.Namespace, device: torch.device, rows: Rows) -> None:
    begin = time.perf_counter()
    load = packed_works(device)
    seconds = time.perf_counter() - begin
    rows.add(what="nerfacc's kernels", load=load, seconds=seconds, nvcc=bool(shutil.which("nvcc")))
    if not load:
        return
    shape = (64 if chosen.smoke else RAYS, SAMPLES)
    edges = torch.rand(shape[0], SAMPLES + 1, device=device).cumsum(-1)
    parts = (edges[:, :-1], edges[:, 1:], torch.rand(shape, device=device), torch.rand(*shape, 3, device=device))
    active = torch.rand(shape, device=device) < 0.25
    packed, batched = (functools.partial(way, *parts, active) for way in (_packed, _batched))
    rows.add(
        what="integrating",
        rays=shape[0],
        **{
            "packed ms": 1000 * median_seconds(packed, device, 5),
            "batched ms": 1000 * median_seconds(batched, device, 5),
        },
        differ=float((packed()[0] - batched()[0]).abs().max()),
    )


if __name__ == "__main__":
    main()
