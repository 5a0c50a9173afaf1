"""Kills training with kill -9 at random moments, relaunches it until it is done, and compares what it leaves.

    python benchmarks/killing.py [--kills 20] [--steps 60] [--seed 0] [--json]

A small image model learns from the embedded faces, saving every 5 steps and drawing a sheet of samples every 20. Every
attempt is a new process with the same call; each is killed after a random part of the time that a whole run takes, up
to ``kills`` times in all, over as many runs as that needs. A run is identical when the weights, averages, optimizer,
random states and counters of its last checkpoint and its metrics.jsonl are, by sha256, those of a run that nobody
disturbed. The exit code is 1 if any is not.
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

import torch

import inrkit
from inrkit.storage.checkpoint import list_checkpoints, load_checkpoint

SMALL = {"size": [16, 16], "count": 64, "width": 32, "depth": 1, "decoder_depth": 1, "heads": 1, "hidden": 64}


def train(run: Path, steps: int) -> None:
    """One attempt."""
    torch.set_num_threads(1)
    inrkit.train(
        modality="image",
        preset="tiny",
        out=run,
        progress=False,
        steps=steps,
        batch_size=8,
        save_every=5,
        sample_every=20,
        log_every=3,
        device="cpu",
        precision="fp32",
        options={**SMALL, "query_points": 0},
    )


def attempt(run: Path, steps: int, patience: float) -> bool:
    """Whether the run ended within ``patience`` seconds; killed if not."""
    child = multiprocessing.get_context("fork").Process(target=train, args=(run, steps))  # torch is imported once
    child.start()
    child.join(timeout=patience)
    if child.exitcode is not None:
        assert child.exitcode == 0, f"an attempt ended with exit code {child.exitcode}"
        return True
    os.kill(child.pid or 0, signal.SIGKILL)
    child.join()
    return False


def fingerprint(run: Path) -> dict[str, str]:
    """sha256 of all that exact resume must leave the same."""
    checkpoint = load_checkpoint(list_checkpoints(run / "checkpoints")[-1])
    prints = {"state": digest(repr(checkpoint.state).encode()), "metrics": digest((run / "metrics.jsonl").read_bytes())}
    for group, tensors in checkpoint.tensors.items():
        prints[group] = digest(*(name.encode() + tensors[name].numpy().tobytes() for name in sorted(tensors)))
    return prints


def digest(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(parts)).hexdigest()


def disturbed(run: Path, steps: int, seconds: float, chance: random.Random, most: int) -> int:
    """Trains a run to its end with at most so many kills; returns how many there were."""
    kills = 0
    while not attempt(run, steps, chance.uniform(0.02, 1.0) * seconds if kills < most else 600):
        kills += 1
    return kills


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="in all [%(default)s]")
    parser.add_argument("--steps", type=int, default=60, help="of each run [%(default)s]")
    parser.add_argument("--seed", type=int, default=0, help="of the moments [%(default)s]")
    parser.add_argument("--json", action="store_true", help="one line of JSON instead of text")
    chosen = parser.parse_args(arguments)
    chance, kills, different = random.Random(chosen.seed), 0, list[str]()
    runs = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        begin = time.monotonic()
        attempt(folder / "whole", chosen.steps, 600)
        seconds = time.monotonic() - begin
        expected = fingerprint(folder / "whole")
        while kills < chosen.kills:
            run = folder / f"run-{runs}"
            more = disturbed(run, chosen.steps, seconds, chance, chosen.kills - kills)
            found = fingerprint(run)
            parts = sorted(key for key in expected if expected[key] != found[key])
            different += [f"run {runs}, killed {more} times: {', '.join(parts)}"] if parts else []
            kills, runs = kills + more, runs + 1
    identical = runs - len(different)
    if chosen.json:
        print(json.dumps({"kills": kills, "runs": runs, "identical": identical, "different": different}))
    else:
        print(f"{kills} kills in {runs} runs of {chosen.steps} steps ({seconds:.1f} s each)")
        print("\n".join([*different, f"{identical} of {runs} identical"]))
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
