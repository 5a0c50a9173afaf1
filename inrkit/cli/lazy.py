"""A group of commands that imports a command when it is used; lists and help texts need none of them."""

import importlib
from collections.abc import Mapping
from typing import Any

import click

from inrkit.cli.help import Folding
from inrkit.errors import UsageError, did_you_mean


class LazyGroup(Folding, click.Group):
    """Commands by name.

    Args:
        lazy: Name of a command to ("module:attribute", summary of one line), in the order in which help lists them.
    """

    def __init__(self, *args: Any, lazy: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.lazy)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in self.lazy:
            known = ", ".join(self.lazy)
            raise UsageError(f"no command named '{name}'; there are {known}.{did_you_mean(name, self.lazy)}")
        module, _, attribute = self.lazy[name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in self.lazy.items()])
