"""``inrkit compare``."""

from pathlib import Path

import click

from inrkit.cli.output import as_json, note, progress, say, say_json, say_table
from inrkit.errors import UsageError


@click.command()
@click.argument("things", metavar="RUN|FILE.toml|MODALITY:PRESET...", nargs=-1, required=True)
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="A directory for table and sheets.")
@click.option("--seeds", metavar="A,B,...", default="0", show_default=True, help="Train each config with each.")
@click.option(
    "--equal/--own-steps",
    default=True,
    show_default=True,
    help="As many training operations for every config as the first has, or the steps that each one says.",
)
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="For every config; repeatable.")
@click.option("-n", "count", type=int, default=1000, show_default=True, help="Signals in each set, at most.")
@click.option("--sizes", metavar="WxH,...", help="Also time generating and rendering at these sizes.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the generated signals.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@as_json
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
    """Put runs and configs beside each other: one table, and sheets from the same noise.

    Runs are measured as they are, those that differ by their seeds alone as one system. TOML files and presets are
    trained first, in OUT/runs, with as much compute as the first thing named had. The same command again goes on where
    it stopped. Leaves compare.html, compare.json, compare.md and sheets in OUT.

    \b
      inrkit compare runs/first runs/unet -o table
      inrkit compare image:tiny image:tiny-unet image:tiny-dit --seeds 0,1,2 --set steps=300 -o table
      inrkit compare mine.toml other.toml --sizes 32x32,64x64,128x128 -o table
    """
    from inrkit.comparison.compare import compare as run_compare
    from inrkit.comparison.scoreboard import note_of, table_of

    with progress("comparing") as report:
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
            tell=lambda stage, done, total: report(done, total, stage),
            say=note,
        )
    if as_json:
        say_json(result)
        return
    say_table(*table_of(result))
    say(note_of(result))
    say(f"{out / 'compare.html'}")


def _numbers(text: str) -> list[int]:
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"'--seeds' is numbers separated by commas, such as 0,1,2 (got '{text}')") from None
    if min(found) < 0 or len(set(found)) < len(found):
        raise UsageError(f"'--seeds' must be different numbers from 0 (got '{text}')")
    return found
