"""``inrkit compare``."""

from pathlib import Path

import click

from inrkit.cli import option
from inrkit.cli.output import bar, note, say, say_json, say_table
from inrkit.errors import UsageError


@click.command()
@click.argument("things", metavar="RUN|FILE.toml|MODALITY:PRESET...", nargs=-1, required=True)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="Directory for the table and the sheets of samples.",
)
@click.option("--seeds", metavar="A,B,...", default="0", show_default=True, help="Seeds to train each config with.")
@click.option(
    "--equal/--own-steps",
    default=True,
    show_default=True,
    help="Train every config with as many floating-point operations as the first, or with its own number of steps.",
)
@click.option(
    "--set", "sets", multiple=True, metavar="KEY=VALUE", help="Set a config key in every config; may be repeated."
)
@click.option(
    "-n",
    "count",
    type=int,
    default=1000,
    show_default=True,
    help="Maximum number of signals: generated ones and held-out ones.",
)
@click.option("--sizes", metavar="WxH,...", help="Also time sampling and rendering at these resolutions.")
@option.seed("Random seed of the generated signals.")
@option.device()
@option.as_json
def compare(
    things: tuple[str, ...],
    out: Path,
    seeds: str,
    equal: bool,
    sets: tuple[str, ...],
    count: int,
    sizes: str | None,
    seed: int,
    device: str,
    as_json: bool,
) -> None:
    """Compare runs and configs: one table, and sheets of samples from the same noise.

    Finished runs are evaluated as they are; runs that differ only in their seed count as one system. TOML files and
    presets are trained first, in OUT/runs, with as much compute as the first system named. The same command resumes a
    comparison that was interrupted. Writes compare.html, compare.json, compare.md and the sheets to OUT.

    \b
      inrkit compare runs/first runs/unet -o table
      inrkit compare image:tiny image:tiny-unet image:tiny-dit --seeds 0,1,2 --set steps=300 -o table
      inrkit compare mine.toml other.toml --sizes 32x32,64x64,128x128 -o table
    """
    from inrkit.comparison.compare import compare as run_compare
    from inrkit.comparison.scoreboard import tables_of

    with bar("comparing") as progress:
        result = run_compare(
            things,
            out,
            n=count,
            seeds=_numbers(seeds),
            equal=equal,
            sets=sets,
            at=[{"size": size.strip()} for size in sizes.split(",")] if sizes else [],
            seed=seed,
            device=device,
            progress=progress,
            say=note,
        )
    if as_json:
        say_json(result)
        return
    for table in tables_of(result):
        say_table(table.head, table.rows)
        say(table.note)
    say(f"{out / 'compare.html'}")


def _numbers(text: str) -> list[int]:
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"'--seeds' is numbers separated by commas, such as 0,1,2 (got '{text}')") from None
    if min(found) < 0 or len(set(found)) < len(found):
        raise UsageError(f"'--seeds' must be different numbers from 0 (got '{text}')")
    return found
