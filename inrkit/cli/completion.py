"""``inrkit completion``."""

from typing import Literal

import click
from click.shell_completion import get_completion_class

from inrkit.cli import option
from inrkit.cli.help import command
from inrkit.cli.output import say


@command()
@click.argument("shell", type=option.Choice(["bash", "zsh", "fish"]))
def completion(shell: Literal["bash", "zsh", "fish"]) -> None:
    """Print the script that lets a shell complete what you type.

    \b
      inrkit completion bash >> ~/.bashrc
      inrkit completion zsh >> ~/.zshrc
      inrkit completion fish > ~/.config/fish/completions/inrkit.fish

    It completes commands, flags, and the names of presets, objectives, samplers, plugins, runs and trained models.
    Bash 4.4 or newer, zsh and fish read it at their start from the files named here.
    """
    from inrkit.cli.root import main

    scripts = get_completion_class(shell)
    assert scripts is not None  # click knows all three
    say(scripts(main, {}, "inrkit", "_INRKIT_COMPLETE").source().rstrip("\n"))
