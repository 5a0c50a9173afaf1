"""``inrkit report``."""

from pathlib import Path

import click

from inrkit.cli import option
from inrkit.cli.help import command
from inrkit.cli.output import bar, note, say
from inrkit.errors import UsageError


@command()
@option.run
@click.option("--live", is_flag=True, help="Serve a page on this machine that follows a run while it trains.")
@click.option(
    "--port",
    metavar="N",
    type=click.IntRange(0, 65535),
    default=8321,
    show_default=True,
    help="Port of --live; 0: any.",
)
@option.data("Data set whose signals to show where the run's own are not here. [default: the run's own]")
@option.device()
def report(run: Path, live: bool, port: int, data: str | None, device: str) -> None:
    """Write the report of a run anew, or follow a run while it trains.

    \b
      inrkit report runs/first                        RUN/report.html
      inrkit report digits --data mine.h5             where the run's own data are not here
      inrkit report runs/first --live                 a page on this machine that follows the run
      inrkit report runs/first --live --port 9000

    The report is RUN/report.html, one file with samples, reconstructions, curves and figures. With --live a browser
    shows how far the run is: loss, held-out PSNR and the newest samples, loaded anew every 5 seconds. The page is
    served to this machine alone; from another one, 'ssh -L 8321:127.0.0.1:8321 HOST' leads to it. Ctrl-C stops it, and
    the run goes on.
    """
    if live and data is not None:
        raise UsageError("'--data' is for the report; the page of '--live' shows no signals of a data set")
    if live:
        from inrkit.report.live import serve

        serve(run, port, lambda address: say(f"{address} follows {run}; stop it by Ctrl-C"))
        return
    with bar("writing the report"):
        from inrkit.inference.model import Model
        from inrkit.inference.signalset import with_data
        from inrkit.report.sheets import write_report

        model = with_data(Model.load(run, device=device), data, note)
        path = write_report(model, model.run)
    say(str(path))
