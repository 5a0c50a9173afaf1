"""``inrkit evaluate``."""

from pathlib import Path
from typing import Any

import click

from inrkit.cli import complete, option, remembered
from inrkit.cli.help import command
from inrkit.cli.output import bar, note, say
from inrkit.cli.table import Table, say_result
from inrkit.errors import UsageError
from inrkit.evaluation.names import chosen_metrics


@command()
@option.run
@option.data("Data set: a store, a folder or NAME://ADDRESS. [default: the run's own]")
@option.signals(2000)
@click.option("--metrics", metavar="A,B,...", help="Metrics to compute, such as psnr,frechet. [default: all]")
@click.option(
    "--search-times",
    is_flag=True,
    help="First search the intermediate noise level of two-step sampling more finely than the end of training did "
    "(takes minutes: 12 sets of samples). "
    "'inrkit sample --steps 2' then uses it with this checkpoint.",
)
@click.option(
    "--features",
    metavar="NAME",
    shell_complete=complete.names("feature"),
    callback=option.known("feature"),
    help="Also compute the figures of sets on the features of this network, and what it makes of single signals if it "
    "is a classifier: see 'inrkit plugins list'. [default: none]",
)
@click.option("--weights", metavar="FILE", help="Weights of that network: .safetensors or .npz. [default: none]")
@option.keys("--set", "sets", "Further option of that network.")
@click.option(
    "--whole",
    is_flag=True,
    help="Reconstruction over all that is known of each signal, such as every view of an object, where usually some of "
    "it is taken; the nearest training signal beside it; and with '--features' the Fréchet distance of all pictures.",
)
@option.times("Also measure samples by way of these noise levels, highest first, such as 80,20,8,3,1. [default: none]")
@option.guidance("Scale of classifier-free guidance of the samples of '--times', or without it of one step and two.")
@option.seed("Random seed of the generated signals.")
@option.device()
@option.table
@option.as_json
def evaluate(
    run: Path,
    metrics: str | None,
    features: str | None,
    weights: str | None,
    sets: tuple[str, ...],
    device: str,
    as_json: bool,
    **given: Any,
) -> None:
    """Measure how well a run encodes and generates.

    \b
      inrkit evaluate runs/first
      inrkit evaluate runs/first --search-times --metrics frechet
      inrkit evaluate runs/first --features resnet20 --weights resnet20.safetensors
      inrkit evaluate runs/first --data other.h5 -n 500 --metrics psnr,ssim --json
      inrkit evaluate runs/digits --metrics frechet --times 80,20,8,3,1 --guidance 3

    Encodes held-out signals (reconstruction PSNR, SSIM), and compares generated with held-out signals (Fréchet
    distances, KID, precision and recall), beside the same figures for training signals: what a perfect model would
    reach. Writes evaluation.json and the report in the run directory.
    """
    names = None if metrics is None else [name.strip() for name in metrics.split(",") if name.strip()]
    if features is None and (sets or weights):
        raise UsageError(f"'{'--set' if sets else '--weights'}' is for the network of '--features', and none is given")
    chosen_metrics(names)
    if features is not None:
        remembered.check_options("feature", features, sets)
    if weights is not None:
        sets = (f"weights={weights}", *sets)
    with bar("loading the model") as progress:
        from inrkit.config.parts import make_features
        from inrkit.evaluation.evaluate import evaluate as measure
        from inrkit.inference.model import Model
        from inrkit.inference.signalset import with_data

        networks = {} if features is None else {features: make_features(features, sets)}
        model = with_data(Model.load(run, device=device), given["data"], note)
        figures = measure(model, metrics=names, networks=networks, progress=progress, **given)
    run = model.run
    from inrkit.report.sheets import write_report
    from inrkit.report.tables import evaluation_sentence, evaluation_table

    if (run / "report.html").is_file():
        write_report(model, run)
    table = evaluation_table(figures)
    size = figures["data"].get("size")
    if size and (change := model.modality.display.fitting(tuple(size))):
        note(f"{given['data'] or 'the data of the run'}: the model sees {change}")
    if not as_json:
        say(evaluation_sentence(figures))
    say_result(figures, [Table(table.head, table.rows, table.note)], as_json=as_json)
    if as_json:
        return
    written = [name for name in ("evaluation.json", "nearest.png", "report.html") if (run / name).is_file()]
    say(f"{run}: {', '.join(written)}")
