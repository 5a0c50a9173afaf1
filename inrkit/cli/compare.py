"""``inrkit compare``."""

from pathlib import Path
from typing import Any

import click

from inrkit.cli import complete, option
from inrkit.cli.help import command
from inrkit.cli.output import bar, note, say
from inrkit.cli.table import Table, say_result
from inrkit.comparison.system import check_system
from inrkit.errors import UsageError


@command()
@click.argument(
    "things", metavar="RUN|FILE.toml|MODALITY:PRESET...", nargs=-1, required=True, shell_complete=complete.runs
)
@option.out("Directory for the table and the sheets of samples.", required=True)
@click.option("--seeds", metavar="A,B,...", default="0", show_default=True, help="Seeds to train each config with.")
@click.option(
    "--equal/--own-steps",
    default=True,
    show_default=True,
    help="Train every config with as many floating-point operations as the first, or with its own number of steps.",
)
@option.keys("--set", "sets", "Set a config key in every config; may be repeated.")
@option.signals(1000)
@click.option(
    "--sizes", metavar="WxH,...", help="Also time sampling and rendering at these resolutions. [default: none]"
)
@option.seed("Random seed of the generated signals.")
@option.device()
@option.layout(rows=True)
@option.table
@option.as_json
def compare(things: tuple[str, ...], out: Path, seeds: str, sizes: str | None, as_json: bool, **given: Any) -> None:
    """Compare runs and configs: one table, and sheets of samples from the same noise.

    \b
      inrkit compare runs/first runs/unet -o table
      inrkit compare image:tiny image:tiny-unet image:tiny-dit --seeds 0,1,2 --set steps=300 -o table
      inrkit compare runs/first runs/unet -o table --columns 6 --sheet figure.pdf --table table.tex
      inrkit compare mine.toml other.toml --sizes 32x32,64x64,128x128 -o table

    Finished runs are evaluated as they are; runs that differ only in their seed count as one system. TOML files and
    presets are trained first, in OUT/runs, with as much compute as the first system named. The same command resumes a
    comparison that was interrupted. Writes compare.html, compare.json, compare.md and the sheets to OUT.
    """
    for thing in things:
        check_system(thing)
    at, numbers = [{"size": size.strip()} for size in sizes.split(",")] if sizes else [], _numbers(seeds)
    with bar("comparing") as progress:
        from inrkit.comparison.compare import compare as run_compare
        from inrkit.comparison.scoreboard import tables_of

        result = run_compare(things, out, seeds=numbers, at=at, progress=progress, say=note, **given)
    say_result(result, [Table(table.head, table.rows, table.note) for table in tables_of(result)], as_json=as_json)
    if not as_json:
        say(f"{out}: {', '.join(sorted(path.name for path in out.iterdir() if path.is_file()))}")


def _numbers(text: str) -> list[int]:
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"'--seeds' is numbers separated by commas, such as 0,1,2 (got '{text}')") from None
    if min(found) < 0 or len(set(found)) < len(found):
        raise UsageError(f"'--seeds' must be different numbers from 0 (got '{text}')")
    return found
