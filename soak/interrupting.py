"""Signals at random moments, two writers at once, readers that are lost."""

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import final

from inrkit.errors import ResourceError
from soak.child import LOST, Child, children_of, command, inrkit
from soak.disk import Undisturbed
from soak.killing import fingerprint, same_run
from soak.prepared import COMMANDS, Prepared
from soak.stage import Stage, is_plain, require

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PATIENCE = 10.0
"""Seconds of the processor that a command may take to stop."""


@final
class Signals(Undisturbed):
    """A case is a command, a signal, and a moment."""

    name = "signals"
    summary = "SIGINT, SIGTERM and SIGHUP at random moments of every command that writes, SIGINT twice too"
    count = 600

    def case(self, number: int, folder: Path) -> str:
        chance, name = self.chance(number), ["train", *self.commands][number % (len(self.commands) + 1)]
        kind, seconds = chance.choice(SIGNALS), self._seconds(name)
        child = Child(command(*COMMANDS[name]), self.given.fill(folder))
        child.wait(chance.uniform(0, 1) * seconds)
        child.send(kind)
        if kind == signal.SIGINT and chance.random() < 0.3:
            time.sleep(chance.uniform(0, 0.02))
            child.send(kind)
        ended = child.end()
        is_plain(ended, 0, 128 + kind, -kind)
        require(ended.seconds < seconds + PATIENCE, f"it took more than {PATIENCE:.0f} s to stop", ended)
        require(ended.code != 128 + kind or len(ended.err.splitlines()) >= 1, "it stopped without a word", ended)
        self.goes_on(name, folder)
        return f"{kind.name}: {'stopped' if ended.code else 'had ended'}"

    def _seconds(self, name: str) -> float:
        """That the command takes when nothing happens, as this machine is now."""
        return self.left_by(name).seconds


def undisturbed_run(given: Prepared) -> dict[str, str]:
    """What a run leaves that nobody disturbs."""
    folder = given.folder.parent / "whole-run"
    if not folder.exists():
        folder.mkdir()
        is_plain(inrkit(folder, *given.disturbed), 0)
    return fingerprint(folder / "run")


@final
class Writers(Stage):
    """A case is one run directory and two processes that want it, or a sampler beside a trainer that prunes."""

    name = "writers"
    summary = "two trainers of one run directory, and samplers beside a trainer that removes checkpoints"
    count = 60

    def case(self, number: int, folder: Path) -> str:
        chance, words = self.chance(number), self.given.disturbed
        trainer = Child(command(*words), folder)
        trainer.wait(chance.uniform(0, 2))
        if number % 2:
            other = Child(command(*words), folder)
            codes = []
            for ended in (trainer.end(), other.end()):
                is_plain(ended, 0, ResourceError.exit_code)
                codes.append(ended.code)
            require(0 in codes, "neither trained")
            outcome = "trainer: refused" if ResourceError.exit_code in codes else "trainer: found it finished"
        else:
            while trainer.wait(0) is None and not list(folder.glob("run/checkpoints/step-*")):
                time.sleep(0.01)
            ended = Child(command("sample", "run", "-n", "2", "--device", "cpu", "-o", "samples"), folder).end()
            is_plain(ended, 0)
            is_plain(trainer.end(), 0)
            outcome = "sampler: sampled"
        same_run(folder / "run", undisturbed_run(self.given))
        return outcome


@final
class Workers(Stage):
    """A case is a run whose data another process reads, and which is killed."""

    name = "workers"
    summary = "processes that read data, killed at random moments of training"
    count = 40

    def case(self, number: int, folder: Path) -> str:
        chance, words = self.chance(number), [*self.given.disturbed, "--set", "workers=2"]
        child = Child(command(*words), folder)
        until = time.monotonic() + LOST
        while not (readers := children_of(child.pid)) and child.wait(0) is None and time.monotonic() < until:
            time.sleep(0.002)
        child.wait(chance.uniform(0, 0.5))
        if child.wait(0) is None and (readers := children_of(child.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(chance.choice(readers), signal.SIGKILL)
        ended = child.end()
        is_plain(ended, 0, ResourceError.exit_code)
        is_plain(inrkit(folder, *words), 0)
        same_run(folder / "run", undisturbed_run(self.given))
        return "told and resumed" if ended.code else "had ended"
