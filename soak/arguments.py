"""Random words on the command line: help, a result, or one line; never a traceback."""

import random
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import final

import click

from soak.child import Child, command
from soak.stage import Stage, is_plain

_VALUES = (
    "0 -1 1 2 nan inf 1e400 8x8 0x8 9x99999999999 a=1 options.width=x options.size=8,8 lr=nan steps=1e9 = , .. "
    "80,0.8 psnr fid tiny image nerf audio cpu cuda:9 meta run a.inr store.h5 pictures mask.png model new /dev/null "
    "/proc --help --json -n -o -- [] {} %s \\ \x1b[31m ü 日本 images npz html glsl mesh inpaint denoise superres"
)
VALUES = ["", "a b", *_VALUES.split()]
SECONDS = 5.0
"""After which a command that found something to do is ended."""


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command with its path."""
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        if isinstance(found, click.Group):
            yield from commands(found, (*path, name))
        if found is not None:
            yield (*path, name), found


def words(chance: random.Random, found: Sequence[tuple[tuple[str, ...], Sequence[str]]]) -> list[str]:
    """A command line: mostly a command with some of its options and values, and some words out of place."""
    path, options = chance.choice(found)
    line = list(path) if chance.random() < 0.9 else []
    for _ in range(chance.randrange(6)):
        kind = chance.random()
        if kind < 0.45 and options:
            line.append(chance.choice(options))
        elif kind < 0.95:
            line.append(chance.choice(VALUES))
        else:
            line.append("".join(chr(chance.randrange(1, 0x2FF)) for _ in range(chance.randrange(6))))
    if "train" in line[:1]:  # not for hours
        line.insert(1, "--print-config")
    return line


@final
class Arguments(Stage):
    """A case is a command line."""

    name = "arguments"
    summary = "random words on the command line: help, a result or one line, never a traceback"
    count = 10_000

    def case(self, number: int, folder: Path) -> str:
        line = words(self.chance(number), self._found)
        self.given.fill(folder)
        child = Child(command(*line), folder)
        ended = child.wait(SECONDS)
        if ended is None:
            child.send(9)
            child.end()
            return "had found work for longer"
        if ended.code == 2 and ended.err.startswith("Usage: "):  # a group alone shows its help
            return "help"
        is_plain(ended, 0, 2, 3, 4, 6)
        return f"exit code {ended.code}"

    @cached_property
    def _found(self) -> list[tuple[tuple[str, ...], list[str]]]:
        from inrkit.cli import main

        return [
            (path, [name for option in found.params for name in option.opts if name.startswith("-")])
            for path, found in commands(main)
        ]
