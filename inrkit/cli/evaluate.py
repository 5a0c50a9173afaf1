"""``inrkit evaluate``."""

from pathlib import Path
from typing import Any

import click

from inrkit.cli.output import as_json, bar, say, say_json, say_table, shown


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--data", type=click.Path(path_type=Path), help="Data set (a store). [default: the run's own]")
@click.option(
    "-n",
    "count",
    type=int,
    default=2000,
    show_default=True,
    help="Maximum number of signals: generated ones and held-out ones.",
)
@click.option("--metrics", metavar="A,B,...", help="Metrics to compute, such as psnr,frechet. [default: all]")
@click.option(
    "--search-times",
    is_flag=True,
    help="First search the intermediate noise level of two-step sampling (takes minutes: 12 sets of samples). "
    "'inrkit sample --steps 2' then uses it with this checkpoint.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Random seed of the generated signals.")
@click.option("--device", default="auto", show_default=True, help="Device: auto, cpu, cuda or cuda:N.")
@as_json
def evaluate(
    run: Path,
    data: Path | None,
    count: int,
    metrics: str | None,
    search_times: bool,
    seed: int,
    device: str,
    as_json: bool,
) -> None:
    """Measure how well a run encodes and generates.

    Encodes held-out signals (reconstruction PSNR, SSIM), and compares generated with held-out signals (Fréchet
    distances, KID, precision and recall), beside the same figures for training signals: what a perfect model would
    reach. Writes evaluation.json and the report in the run directory.

    \b
      inrkit evaluate runs/first
      inrkit evaluate runs/first --search-times --metrics frechet
      inrkit evaluate runs/first --data other.h5 -n 500 --metrics psnr,ssim --json
    """
    from inrkit.evaluation.evaluate import chosen_metrics
    from inrkit.evaluation.evaluate import evaluate as measure
    from inrkit.inference.model import Model
    from inrkit.report.sheets import write_report

    names = None if metrics is None else [name.strip() for name in metrics.split(",") if name.strip()]
    chosen_metrics(names)
    model = Model.load(run, device=device)
    with bar("evaluating") as progress:
        figures = measure(
            model,
            data=data,
            n=count,
            seed=seed,
            metrics=names,
            search_times=search_times,
            progress=progress,
        )
    if (run / "report.html").is_file():
        write_report(model, run)
    if as_json:
        say_json(figures)
    else:
        _print(_without_curves(figures), "")


def _without_curves(figures: dict[str, Any]) -> dict[str, Any]:
    """The figures but for what only a drawing shows."""
    return {
        key: _without_curves(value) if isinstance(value, dict) else value
        for key, value in figures.items()
        if key != "curves"
    }


def _print(figures: dict[str, Any], title: str) -> None:
    """Nested figures: mappings of plain values are a table together, each of them a row; others follow."""
    plain = {key: value for key, value in figures.items() if not isinstance(value, dict)}
    rows = {key: value for key, value in figures.items() if isinstance(value, dict) and not _nested(value)}
    if plain:
        say(f"{title + ': ' if title else ''}{', '.join(f'{key} {shown(value)}' for key, value in plain.items())}")
    if rows:
        columns = list(dict.fromkeys(column for row in rows.values() for column in row))
        say_table([title, *columns], [[name, *(row.get(column) for column in columns)] for name, row in rows.items()])
    for key, value in figures.items():
        if isinstance(value, dict) and _nested(value):
            _print(value, f"{title}, {key}" if title else key)


def _nested(value: dict[str, Any]) -> bool:
    return any(isinstance(part, dict) for part in value.values())
