"""Every call that changes the disk failed in turn, and files that may not grow: of every command that writes."""

import random
import resource
import time
from collections.abc import Sequence
from pathlib import Path
from typing import final

import attrs

from inrkit.errors import DataError, ResourceError
from soak.child import Child, command, inrkit
from soak.faults import FAULTS, FailingDisk
from soak.prepared import COMMANDS, Prepared
from soak.stage import Stage, contents, is_plain, is_same, require, timeless

REFUSED = (ResourceError.exit_code, DataError.exit_code)  # the latter from reading back what was written


@final
@attrs.frozen
class Left:
    """What a command does when nothing happens.

    Args:
        files: sha256 of each file that there is then; "" where it is another each time, for some hold the time.
        calls: That change the disk.
        writes: Those of them that write bytes.
        seconds: That it took.
    """

    files: dict[str, str]
    calls: int
    writes: int
    seconds: float


class Undisturbed(Stage):
    """Knows what each command leaves when nothing happens, from two runs of it."""

    commands: Sequence[str] = tuple(COMMANDS)

    def left_by(self, name: str) -> Left:
        """What a command does."""
        if name not in self.given.left:
            first, second = (self._once(name, part) for part in ("first", "second"))
            files = {path: value if second.files[path] == value else "" for path, value in first.files.items()}
            # An interrupted run may have older checkpoints of other steps.
            files = {
                path: value for path, value in timeless(files).items() if "new/checkpoints/step-00000004" not in path
            }
            self.given.left[name] = attrs.evolve(second, files=files)
        left: Left = self.given.left[name]
        return left

    def goes_on(self, name: str, folder: Path) -> None:
        """The same command again does all that it should."""
        is_plain(inrkit(folder, *COMMANDS[name]), 0)
        is_same(folder, self.left_by(name).files)

    def _once(self, name: str, part: str) -> Left:
        folder = self.given.fill(self.given.folder.parent / f"undisturbed-{name}-{part}")
        disk, told, begin = FailingDisk(), folder.with_name(f"calls-{name}"), time.monotonic()

        def work() -> None:
            disk.install()
            try:
                command(*COMMANDS[name])()
            finally:
                disk.tell(told)

        is_plain(Child(work, folder).end(), 0)
        calls, writes = told.read_text().split()
        return Left(contents(folder), int(calls), int(writes), time.monotonic() - begin)


@final
class Disk(Undisturbed):
    """A case is a command, a fault and the number of the call that meets it."""

    name = "disk"
    summary = "every call that changes the disk failed in turn: power lost, EIO, ENOSPC, half a write"

    def __init__(self, given: Prepared, scale: float = 1.0, seed: int = 0) -> None:
        super().__init__(given, scale, seed)
        self._cases: list[tuple[str, str, int]] = []

    @property
    def cases(self) -> list[tuple[str, str, int]]:
        """In an order that mixes them, so that the first of them are a fair sample."""
        if not self._cases:
            for name in self.commands:
                left = self.left_by(name)
                for fault in FAULTS:
                    most = left.writes if fault == "short write" else left.calls
                    self._cases += [(name, fault, k) for k in range(1, most + 1)]
            random.Random(self.seed).shuffle(self._cases)
        return self._cases

    @property
    def count(self) -> int:
        return len(self.cases)

    def case(self, number: int, folder: Path) -> str:
        name, fault, k = self.cases[number]
        self.given.fill(folder)
        ended = inrkit(folder, *COMMANDS[name], before=FailingDisk(k, fault).install)
        if fault == "die":
            require(ended.code in (0, 9), "it did not die", ended)  # 0: there was one call less
        else:
            is_plain(ended, 0, *(() if fault == "short write" else REFUSED))
        self.goes_on(name, folder)
        return f"{fault}: {'done' if ended.code == 0 else 'died' if fault == 'die' else 'refused'}"


@final
class Full(Undisturbed):
    """A case is a command, and the size in bytes beyond which no file may grow."""

    name = "full"
    summary = "files that may not grow beyond a random size (RLIMIT_FSIZE), as on a full disk"
    count = 240

    def case(self, number: int, folder: Path) -> str:
        name, chance = self.commands[number % len(self.commands)], self.chance(number)
        self.given.fill(folder)
        most = max((folder / path).stat().st_size for path in contents(folder))
        limit = int(most ** chance.uniform(0, 1))
        ended = inrkit(folder, *COMMANDS[name], before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit,) * 2))
        is_plain(ended, 0, ResourceError.exit_code)
        self.goes_on(name, folder)
        return "done" if ended.code == 0 else "refused"
