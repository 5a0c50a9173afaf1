"""The numbers of short runs, hashed bit for bit: a change that should change none is run before and after.

    python scripts/recorded.py > before.json      # one thread, fp32, a minute; only comparable on one machine

For images and objects, two seeds each: the logged metrics, a sample, an encoding, a render and an edit.
"""

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import torch
from torch import Tensor

import inrkit

OPTIONS: dict[str, dict[str, Any]] = {
    "image": {"size": [16, 16], "width": 64, "heads": 2, "hidden": 128, "count": 256},
    "nerf": {"size": [16, 16], "width": 64, "heads": 2, "hidden": 128, "count": 64},
}


def hashed(tensors: Iterable[Tensor]) -> str:
    state = hashlib.sha256()
    for tensor in tensors:
        state.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return state.hexdigest()[:16]


def numbers(modality: str, seed: int, out: Path) -> dict[str, str]:
    model = inrkit.train(
        modality=modality,
        out=out,
        steps=30,
        batch_size=8,
        log_every=1,
        sample_every=15,
        seed=seed,
        precision="fp32",
        device="cpu",
        options=OPTIONS[modality],
        progress=False,
    )
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    logged = [value for line in lines for value in line.values() if isinstance(value, float)]
    signals = model.modality.source(None, "test").read(range(2))
    encoded, sampled = model.encode(signals), model.sample(2, seed=seed)
    stored = inrkit.load_inr(inrkit.save_inr(out / "one.inr", model.inr(sampled, 0)))
    task = inrkit.Denoise(0.3)
    return {
        "metrics": hashed([torch.tensor(logged, dtype=torch.float64)]),
        "last": f"{lines[-1]}",
        "sample": hashed([sampled.signal, *sampled.params.values()]),
        "encode": hashed([encoded.signal, *encoded.params.values()]),
        "render": hashed(inrkit.render(stored)),
        "edit": hashed([model.edit(signals, task, seed=seed).signal]),
    }


def main() -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        found = {f"{m} {s}": numbers(m, s, Path(folder) / f"{m}-{s}") for m in OPTIONS for s in (0, 1)}
    json.dump(found, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
