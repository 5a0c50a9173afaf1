"""Arguments and options that several commands have."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

run = click.argument("run", type=click.Path(path_type=Path))
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


def device(default: str = "auto") -> Callable[[Any], Any]:
    """Where a command computes."""
    text = "Device: auto, cpu, cuda, mps, xpu, or cuda:N."
    return click.option("--device", default=default, show_default=True, help=text)


def seed(text: str) -> Callable[[Any], Any]:
    """Of what is drawn at random."""
    return click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help=text)
