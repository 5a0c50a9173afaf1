"""A report of a run while it trains: a page on this machine that a browser loads anew, and nobody else can reach."""

from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from PIL import Image

from inrkit.config.toml import to_toml, unstructure
from inrkit.drawing.page import Block, Charts, Listing, Picture, Report, Section
from inrkit.errors import InrkitError, UsageError
from inrkit.report.history import History
from inrkit.report.sheets import duration, samples_over_time
from inrkit.storage.rundir import read_config

_SECONDS = 5
"""Between two looks of a browser."""


def live_page(run: Path) -> str:
    """How far a run is, from what it wrote down so far; no weights are read and nothing is written."""
    config, history = read_config(run), History.read(run)
    step = int(history.last("step") or 0)
    psnr, loss = history.last("heldout/psnr"), history.last("loss")
    numbers = {
        "Step": (f"{step:,}", f"of {config.steps:,}"),
        "Reconstruction PSNR": ("" if psnr is None else f"{psnr:.1f}", "dB"),
        "Loss": ("" if loss is None else f"{loss:.4g}", ""),
        "Time": duration(history.seconds()),
    }
    sections = [
        Section("Samples", _newest_sheet(run)),
        Section("Training", [Charts(charts)] if (charts := history.charts()) else []),
        Section("Samples over training", samples_over_time(run), "From the same noise at every step."),
        Section("Config", [Listing(to_toml(unstructure(config)))], folded=True),
    ]
    subtitle = f"Modality {config.modality}, objective {config.objective}; loaded anew every {_SECONDS} seconds."
    shown = {label: value for label, value in numbers.items() if value[0]}
    return Report(run.resolve().name, subtitle, shown, sections, refresh=_SECONDS).html()


def _newest_sheet(run: Path) -> list[Block]:
    sheets = sorted((run / "samples").glob("step-*.png"))
    if not sheets:
        return []
    with Image.open(sheets[-1]) as opened:
        return [Picture(opened.convert("RGB"), f"step {int(sheets[-1].stem.removeprefix('step-')):,}", wide=True)]


def serve(run: Path, port: int, began: Callable[[str], object]) -> None:
    """Serves the page to browsers on this machine until Ctrl-C; ``began`` is told its address.

    It answers on 127.0.0.1 alone, and no request that was meant for another host.
    """
    live_page(run)  # what is no run is refused at once
    handler = type("Handler", (_Handler,), {"run": run})
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError as error:
        raise UsageError(
            f"port {port} is not free ({error.strerror}); choose another by '--port', or 0 for any"
        ) from error
    with server:
        try:
            began(f"http://127.0.0.1:{server.server_port}/")
            server.serve_forever()
        except KeyboardInterrupt:
            return


class _Handler(BaseHTTPRequestHandler):
    run: Path

    def do_GET(self) -> None:
        _, port = self.connection.getsockname()
        if self.headers.get("Host") not in (f"127.0.0.1:{port}", f"localhost:{port}"):
            self._answer(403, "this page is for browsers on this machine, as http://127.0.0.1", "text/plain")
        elif self.path != "/":
            self._answer(404, "there is one page, /", "text/plain")
        else:
            try:
                self._answer(200, live_page(self.run), "text/html")
            except (InrkitError, OSError) as error:
                self._answer(500, str(error), "text/plain")

    def _answer(self, status: int, text: str, kind: str) -> None:
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a browser asks every few seconds."""
