"""``inrkit report``."""

from pathlib import Path

import click

from inrkit.cli import option
from inrkit.cli.help import command
from inrkit.cli.output import bar, say


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
@option.device()
def report(run: Path, live: bool, port: int, device: str) -> None:
    """Write the report of a run anew, or follow a run while it trains.

    \b
      inrkit report runs/first                        RUN/report.html
      inrkit report runs/first --live                 a page on this machine that follows the run
      inrkit report runs/first --live --port 9000

    The report is RUN/report.html, one file with samples, reconstructions, curves and figures. With --live a browser
    shows how far the run is: loss, held-out PSNR and the newest samples, loaded anew every 5 seconds. The page is
    served to this machine alone; from another one, 'ssh -L 8321:127.0.0.1:8321 HOST' leads to it. Ctrl-C stops it, and
    the run goes on.
    """
    if live:
        from inrkit.report.live import serve

        serve(run, port, lambda address: say(f"{address} follows {run}; stop it by Ctrl-C"))
        return
    with bar("writing the report"):
        from inrkit.inference.model import Model
        from inrkit.report.sheets import write_report

        model = Model.load(run, device=device)
        path = write_report(model, model.run)
    say(str(path))
