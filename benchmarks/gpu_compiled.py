"""Training steps on a GPU with compiled blocks, and with activations that are computed twice, in bf16.

    python benchmarks/gpu_compiled.py [--device auto] [--smoke] [--json]

The preset and the columns are those of gpu_training.py, whose row in bf16 is here again for comparison: once as it is,
once with `recompute = true`, once with `compile = true`. "s in all" has the compiler in it.
"""

import argparse
import time

import torch
from accelerator import FORMATS, Rows, resolved_for, run
from gpu_training import BATCH, SMALL_BATCH, on_device, timed

KEYS: dict[str, dict[str, bool]] = {"as it is": {}, "recompute": {"recompute": True}, "compile": {"compile": True}}


def main(arguments: list[str] | None = None) -> None:
    run(__doc__, measure, arguments)


def measure(chosen: argparse.Namespace, device: torch.device, rows: Rows) -> None:
    batch = SMALL_BATCH if chosen.smoke else BATCH
    resolved = resolved_for("image", "celeba-64", device, smoke=chosen.smoke, batch_size=batch)
    signals = on_device(resolved.source("train").read(range(batch)), device)
    for what, keys in KEYS.items():
        if keys.get("compile") and chosen.smoke:
            rows.add(what=what, skipped="compiling for a processor takes minutes")
            continue
        with rows.attempt(what, least=30 if keys.get("compile") else 10):
            begin = time.perf_counter()
            found = timed(resolved.evolve(**keys), signals, FORMATS["bf16"], device, smoke=chosen.smoke)
            rows.add(what=what, batch=batch, **found, **{"s in all": time.perf_counter() - begin})


if __name__ == "__main__":
    main()
