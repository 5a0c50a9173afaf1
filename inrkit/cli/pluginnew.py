"""``inrkit plugins new``."""

from pathlib import Path

import click

from inrkit.cli import option
from inrkit.cli.help import command
from inrkit.cli.output import say
from inrkit.errors import UsageError
from inrkit.plugins import load_plugins


@command()
@click.argument("name")
@click.option(
    "--axes",
    metavar="N",
    type=click.IntRange(1, 3),
    default=1,
    show_default=True,
    help="Axes of the signals' grid, 1 to 3.",
)
@option.out("New folder. [default: inrkit-NAME]")
def new(name: str, axes: int, out: Path | None) -> None:
    """Create a plugin: a Python package with a modality NAME that trains and passes every check as it is.

    \b
      inrkit plugins new weather --axes 2
      pip install -e inrkit-weather
      inrkit train --modality weather

    It comes with synthetic signals on a grid of 1 axis (such as sound), 2 (maps) or 3 (volumes), an importer for
    folders of .npy files, and a test that runs every check. Its README says what to change first.
    """
    from inrkit.plugins.template import write_plugin

    if taken := load_plugins().modalities.get(name):
        raise UsageError(f"the modality '{name}' is installed already, by {taken.distribution}; choose another name")
    folder = out or Path(f"inrkit-{name}")
    for path in write_plugin(name, axes, folder):
        say(str(path))
    say("next:")
    for line in (f"pip install -e {folder}", f"inrkit plugins check {name}", f"inrkit train --modality {name}"):
        say(f"  {line}")
