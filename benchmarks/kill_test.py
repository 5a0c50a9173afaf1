"""Kills a training run with kill -9 at random moments, over and over, and compares what it leaves in the end.

    python benchmarks/kill_test.py [--kills 20] [--steps 60]

Passes when weights, averages, optimizer, random states, counters and metrics of the run that was killed are the same
bytes as those of a run that was left alone. Children are forked, so that importing torch is paid once.
"""

import argparse
import importlib
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

import torch

TESTS = Path(__file__).parents[1] / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "engine")]  # the toy modality lives there
toy_run = importlib.import_module("toy_run")


def train(run: Path, steps: int) -> None:
    """One attempt."""
    torch.set_num_threads(1)
    toy_run.train_toy(run, steps=steps, save_every=5, sample_every=7)


def attempt(run: Path, steps: int, patience: float) -> bool:
    """Whether the run ended within ``patience`` seconds; killed if not."""
    child = toy_run.in_child(train, run, steps)
    child.join(timeout=patience)
    if child.exitcode is not None:
        assert child.exitcode == 0, f"an attempt ended with exit code {child.exitcode}"
        return True
    os.kill(child.pid or 0, signal.SIGKILL)
    child.join()
    return False


def one_run(
    folder: Path, number: int, steps: int, seconds: float, chance: random.Random, most: int
) -> tuple[int, Path]:
    """A run that is killed at random moments until it is done: (kills, run directory)."""
    run, kills = folder / f"run-{number}", 0
    while True:
        # Most attempts end within a part of the time of a whole run; after `most` kills it is left alone.
        patience = chance.uniform(0.02, 0.5) * seconds if kills < most else 600
        if attempt(run, steps, patience):
            return kills, run
        kills += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance, kills, runs, wrong = random.Random(options.seed), 0, 0, 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        begin = time.monotonic()
        attempt(folder / "whole", options.steps, 600)
        seconds = time.monotonic() - begin
        expected = toy_run.fingerprint(folder / "whole")
        while kills < options.kills:
            more, run = one_run(folder, runs, options.steps, seconds, chance, options.kills - kills)
            found = toy_run.fingerprint(run)
            different = sorted(key for key in expected if expected[key] != found[key])
            kills, runs, wrong = kills + more, runs + 1, wrong + bool(different)
            if different:
                print(f"run {runs}: {', '.join(different)} differ after {more} kills")
    print(f"{kills} kills in {runs} runs of {options.steps} steps ({seconds:.1f} s each): {wrong} runs differ")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
