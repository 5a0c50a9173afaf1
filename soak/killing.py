"""kill -9 at random moments of training, until it is done all the same."""

import functools
import hashlib
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import final

from inrkit.storage.checkpoint import list_checkpoints, load_checkpoint
from soak.child import Child, Ended, command
from soak.prepared import IMAGE, OBJECT, SAVING
from soak.stage import Stage, is_plain, require

LOST, NOTICED = 6, 0.1  # the exit code of who misses another process, and the seconds after which torchrun notices
TEACHER = ["--set", "teacher_ema=0.9", "--set", "ema_decay=0.9", "--set", "optimizer=adamw"]
KINDS: dict[str, tuple[list[str], int]] = {
    "images, two processes": ([*IMAGE, *SAVING], 2),
    "images": ([*IMAGE, *SAVING], 1),
    "images, teacher": ([*IMAGE, *SAVING, *TEACHER], 1),
    "objects": ([*OBJECT, *SAVING], 1),
}
"""Runs by name: their command, and the number of their processes."""


def free_port() -> int:
    """One that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def one_of(words: list[str], rank: int, processes: int, port: int) -> Callable[[], object]:
    """The work of one process of several, in the environment that torchrun makes."""

    def work() -> None:
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(processes)}
        os.environ.update(place if processes > 1 else {}, RANK=str(rank), LOCAL_RANK=str(rank))
        try:
            command(*words, "--out", "run")()
        except SystemExit as end:
            sys.stderr.flush()
            os._exit(end.code if isinstance(end.code, int) else 1)

    return work


def fingerprint(run: Path) -> dict[str, str]:
    """sha256 of all that exact resume must leave the same: tensors and counters of the last checkpoint, metrics."""
    checkpoint = load_checkpoint(list_checkpoints(run / "checkpoints")[-1])
    prints = {"state": digest(repr(checkpoint.state).encode()), "metrics": digest((run / "metrics.jsonl").read_bytes())}
    for group, tensors in checkpoint.tensors.items():
        prints[group] = digest(*(name.encode() + tensors[name].numpy().tobytes() for name in sorted(tensors)))
    sheets = sorted((run / "samples").glob("*.png"))
    return {**prints, **{sheet.name: digest(sheet.read_bytes()) for sheet in sheets}}


def digest(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(parts)).hexdigest()


def same_run(run: Path, expected: dict[str, str]) -> None:
    """`BrokenPromise` naming what differs."""
    found = fingerprint(run)
    parts = sorted(key for key in expected.keys() | found.keys() if expected.get(key) != found.get(key))
    require(not parts, f"differs from an undisturbed run in {', '.join(parts)}")


@final
class Killing(Stage):
    """A case is a run: each attempt at it is killed after a random time, ten times at most; the next one goes on."""

    name = "kill"
    summary = "kill -9 at random moments of runs of images, objects, with a teacher and of two processes"
    count = 100
    kills = 10

    def case(self, number: int, folder: Path) -> str:
        kind, chance = list(KINDS)[number % len(KINDS)], self.chance(number)
        expected, seconds = self._whole(kind)
        kills, patience = 0, seconds
        while not self._attempt(kind, folder, chance.uniform(0.02, 0.4) * patience, chance.randrange(KINDS[kind][1])):
            kills += 1
            patience = 600 if kills >= self.kills else seconds
        same_run(folder / "run", expected)
        return f"{kind}: identical after {kills} kills"

    @functools.cache  # noqa: B019  # as long as the stage
    def _whole(self, kind: str) -> tuple[dict[str, str], float]:
        """What an undisturbed run leaves, and its seconds."""
        folder, begin = self.given.folder / "whole" / kind, time.monotonic()
        folder.mkdir(parents=True)
        require(self._attempt(kind, folder, 600), "an undisturbed run does not end")
        return fingerprint(folder / "run"), time.monotonic() - begin

    def _attempt(self, kind: str, folder: Path, patience: float, victim: int = 0) -> bool:
        """Whether the run ended within ``patience`` seconds; if not, a process of it is killed, and the others end."""
        (words, processes), port = KINDS[kind], free_port()
        words = [*words, "--steps", str(self.given.steps)]
        children = [Child(one_of(words, rank, processes, port), folder) for rank in range(processes)]
        if killed := children[victim].wait(patience) is None:
            children[victim].send(signal.SIGKILL)
            time.sleep(NOTICED if processes > 1 else 0)
            for child in children:
                child.send(signal.SIGTERM)
        ended: list[Ended] = [child.end() for child in children]
        for one in ended:
            if one.code not in (-signal.SIGKILL, -signal.SIGTERM):
                is_plain(one, *((0, LOST, 128 + signal.SIGTERM) if killed else (0,)))
        return not killed
