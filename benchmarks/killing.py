"""Kills training with kill -9 at random moments, relaunches it until it is done, and compares what it leaves.

    python benchmarks/killing.py [--kills 20] [--steps 60] [--processes 1] [--shard] [--seed 0] [--json]

A small image model learns from the embedded faces, saving every 5 steps and drawing a sheet of samples every 20. Every
attempt is a new process with the same call; each is killed after a random part of the time that a whole run takes, up
to ``kills`` times in all, over as many runs as that needs. Of several processes one is killed, the others are ended
when it is missed, and all begin again, as under torchrun. A run is identical when the weights, averages, optimizer,
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
from typing import final

import attrs
import torch
from measure import free_port

import inrkit
from inrkit.storage.checkpoint import list_checkpoints, load_checkpoint

LOST, NOTICED = 6, 0.1  # the command's exit code, and the seconds after which torchrun notices
SMALL = {"size": [16, 16], "count": 64, "width": 32, "depth": 1, "decoder_depth": 1, "heads": 1, "hidden": 64}


@final
@attrs.frozen
class Kind:
    """The runs of this benchmark."""

    steps: int
    processes: int = 1
    shard: bool = False


def train(run: Path, kind: Kind, rank: int, port: int) -> None:
    """One process of an attempt."""
    torch.set_num_threads(1)
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(kind.processes)}
    os.environ.update(place, RANK=str(rank), LOCAL_RANK=str(rank))
    try:
        inrkit.train(
            modality="image",
            preset="tiny",
            out=run,
            progress=False,
            steps=kind.steps,
            batch_size=8,
            save_every=5,
            sample_every=20,
            log_every=3,
            device="cpu",
            precision="fp32",
            shard=kind.shard,
            options={**SMALL, "query_points": 0},
        )
    except RuntimeError:  # torch misses another process
        if kind.processes == 1:
            raise
        sys.exit(LOST)


def attempt(run: Path, kind: Kind, patience: float, victim: int = 0) -> bool:
    """Whether the run ended within ``patience`` seconds; if not, a process of it is killed."""
    context, port = multiprocessing.get_context("fork"), free_port()  # torch is imported once
    children = [context.Process(target=train, args=(run, kind, rank, port)) for rank in range(kind.processes)]
    for child in children:
        child.start()
    children[victim].join(timeout=patience)
    if killed := children[victim].exitcode is None:
        os.kill(children[victim].pid or 0, signal.SIGKILL)
        time.sleep(NOTICED)
        for child in children:
            child.terminate()
    for child in children:
        child.join()
    codes = {child.exitcode for child in children}
    expected = {-signal.SIGKILL, -signal.SIGTERM, LOST, 0} if killed else {0}
    assert codes <= expected, f"processes ended with exit codes {codes}"
    return not killed


def fingerprint(run: Path) -> dict[str, str]:
    """sha256 of all that exact resume must leave the same."""
    checkpoint = load_checkpoint(list_checkpoints(run / "checkpoints")[-1])
    prints = {"state": digest(repr(checkpoint.state).encode()), "metrics": digest((run / "metrics.jsonl").read_bytes())}
    for group, tensors in checkpoint.tensors.items():
        prints[group] = digest(*(name.encode() + tensors[name].numpy().tobytes() for name in sorted(tensors)))
    return prints


def digest(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(parts)).hexdigest()


def disturbed(run: Path, kind: Kind, seconds: float, chance: random.Random, most: int) -> int:
    """Trains a run to its end with at most so many kills; returns how many there were."""
    kills = 0
    while not attempt(
        run,
        kind,
        chance.uniform(0.02, 1.0) * seconds if kills < most else 600,
        victim=chance.randrange(kind.processes),
    ):
        kills += 1
    return kills


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="in all [%(default)s]")
    parser.add_argument("--steps", type=int, default=60, help="of each run [%(default)s]")
    parser.add_argument("--processes", type=int, default=1, help="of a run [%(default)s]")
    parser.add_argument("--shard", action="store_true", help="the processes share the weights")
    parser.add_argument("--seed", type=int, default=0, help="of the moments [%(default)s]")
    parser.add_argument("--json", action="store_true", help="one line of JSON instead of text")
    chosen = parser.parse_args(arguments)
    chance, kills, different = random.Random(chosen.seed), 0, list[str]()
    runs, kind = 0, Kind(chosen.steps, chosen.processes, chosen.shard)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        begin = time.monotonic()
        attempt(folder / "whole", kind, 600)
        seconds = time.monotonic() - begin
        expected = fingerprint(folder / "whole")
        while kills < chosen.kills:
            run = folder / f"run-{runs}"
            more = disturbed(run, kind, seconds, chance, chosen.kills - kills)
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
