"""What the benchmarks of a GPU share: clocks that wait for it, its rates, presets made small, rows as they come.

All of them run on a processor too, and with --smoke at a size that shows nothing but that they work.
"""

import argparse
import contextlib
import functools
import gc
import json
import statistics
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO, final

import attrs
import torch
from measure import shown

import inrkit
from inrkit.machine.precision import choose_device
from inrkit.machine.speed import synchronize

_SMALL_IMAGE = {"size": [16, 16], "inr_width": 32, "inr_inner": 32, "inr_heads": 1, "inr_depth": 2, "token_patch": 4}
_SMALL_NERF = {"size": [16, 16], "samples": 8, "render_samples": 8, "query_rays": 16, "groups": 4}
_NARROW = {"patch": 4, "width": 32, "depth": 1, "decoder_depth": 1, "heads": 1, "hidden": 64, "count": 64}
SMALL: dict[str, dict[str, Any]] = {
    "image": {**_NARROW, **_SMALL_IMAGE},
    "nerf": {**_NARROW, **_SMALL_NERF, "function_options": {"width": 16, "depth": 3, "frequencies": 4}},
}
"""Options that make a preset of a modality small."""


@attrs.frozen
class Format:
    """A number format of matrix products: what autocast is told, and how fp32 products are made."""

    precision: str
    products: str = "highest"


FORMATS = {"fp32": Format("fp32"), "tf32": Format("fp32", "high"), "bf16": Format("bf16", "high")}


@final
class Rows:
    """A table that is written a row at a time: whatever ends the program, what it found before is there."""

    def __init__(self, *, as_json: bool, seconds: float = float("inf")) -> None:
        self.rows: list[dict[str, Any]] = []
        self._as_json, self._stream, self._until = as_json, sys.stdout, time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds that remain."""
        return self._until - time.monotonic()

    def add(self, **row: Any) -> None:
        """One line: JSON, or name and value of each cell."""
        self.rows.append(row)
        cells = "  ".join(f"{name} {shown(value)}" for name, value in row.items())
        print(json.dumps(row) if self._as_json else cells, file=self._stream, flush=True)

    @contextlib.contextmanager
    def attempt(self, what: str, least: float = 0.0) -> Iterator["Rows"]:
        """What fails inside is a row as well, and the next attempt has the memory; no try in the last seconds."""
        if self.left < least:
            raise _NoTimeError(what)
        try:
            yield self
        except Exception as error:
            where = traceback.format_exc().splitlines()[-9:]
            self.add(what=what, error=f"{type(error).__name__}: {error}"[:600], where=where)
        finally:
            gc.collect()
            if torch.accelerator.is_available() and torch.cuda.is_available():
                torch.cuda.empty_cache()

    def quiet(self) -> contextlib.redirect_stdout[TextIO]:
        """Inside, what others print does not come between the rows."""
        return contextlib.redirect_stdout(sys.stderr)


class _NoTimeError(Exception):
    """The next part would not be ready in time."""


def parser_for(doc: str | None) -> argparse.ArgumentParser:
    """With what every benchmark of a GPU can be told."""
    assert doc is not None
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto", help="where to compute, as in a config [%(default)s]")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin nothing new afterwards [no limit]")
    parser.add_argument("--pictures", type=Path, help="folder for pictures [none are drawn]")
    parser.add_argument("--smoke", action="store_true", help="everything at a tiny size")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each row")
    return parser


def run(doc: str | None, measure: Callable[[argparse.Namespace, torch.device, Rows], None], arguments: Any) -> None:
    """Parses, and measures as long as there is time."""
    chosen = parser_for(doc).parse_args(arguments)
    rows = Rows(as_json=chosen.json, seconds=chosen.seconds)
    before = torch.get_float32_matmul_precision()
    try:
        with rows.quiet():
            measure(chosen, choose_device(chosen.device), rows)
    except _NoTimeError as late:
        rows.add(what=str(late), skipped="no time was left")
    finally:
        torch.set_float32_matmul_precision(before)


def median_seconds(call: Callable[[], object], device: torch.device, rounds: int, warm: int = 2) -> float:
    """Of several calls, each from an idle device to an idle device, after some that do not count."""
    seconds = []
    for number in range(warm + rounds):
        synchronize(device)
        begin = time.perf_counter()
        call()
        synchronize(device)
        if number >= warm:
            seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)


def formats_on(device: torch.device) -> dict[str, Format]:
    """The formats that this kind of device has: TF32 is CUDA's."""
    return {name: form for name, form in FORMATS.items() if name != "tf32" or device.type == "cuda"}


def product_rates(device: torch.device, *, smoke: bool) -> dict[str, float]:
    """FLOP/s of square matrix products in each format: the median of several, at the best of some sizes."""
    sizes = (64,) if smoke else (1024, 4096, 8192) if device.type != "cpu" else (512, 1024)
    rates = {}
    for name, form in formats_on(device).items():
        torch.set_float32_matmul_precision(form.products)
        dtype = torch.bfloat16 if form.precision == "bf16" else torch.float32
        found = []
        for n in sizes:
            a, b, out = (torch.randn(n, n, device=device).to(dtype) for _ in range(3))
            product = functools.partial(torch.mm, a, b, out=out)
            found.append(2 * n**3 / median_seconds(product, device, 10, 3))
        rates[name] = max(found)
    return rates


def resolved_for(modality: str, preset: str, device: torch.device, *, smoke: bool, **values: Any) -> inrkit.Resolved:
    """A preset on the embedded signals, with these config keys; small for a smoke test."""
    options = {**(SMALL[modality] if smoke else {"count": 2048}), **values.pop("options", {})}
    return inrkit.resolve(modality, preset, flags={"device": str(device), **values, "options": options})
