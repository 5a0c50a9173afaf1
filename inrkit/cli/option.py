"""Arguments and options that several commands have."""

import functools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from inrkit.cli import complete
from inrkit.cli.failure import as_flags
from inrkit.cli.table import keep
from inrkit.core.option import check_device
from inrkit.drawing.layout import SUFFIXES, Layout
from inrkit.errors import UsageError, did_you_mean
from inrkit.evaluation.names import ENOUGH, SIGNALS, check_count
from inrkit.plugins import load_plugins
from inrkit.storage.fileerror import no_such_file
from inrkit.storage.named import check_run

Decorator = Callable[[Any], Any]

PATH = click.Path(path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
DTYPES = ("fp32", "bf16", "int8")
COUNT = click.IntRange(min=1)
MOST = "Maximum number of signals"
EMBEDDED = "embedded"
"""In place of a data set: the synthetic signals."""


def _checked(check: Callable[[Any], object]) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """A value that was given is looked at when it is read, before anything heavy is imported."""

    def callback(ctx: click.Context, parameter: click.Parameter, value: Any) -> Any:
        if value is not None and not ctx.resilient_parsing:
            try:
                check(value)
            except UsageError as error:  # however the flag was typed
                raise UsageError(as_flags(str(error), [parameter.name or ""])) from error
        return value

    return callback


class Choice(click.Choice):  # type: ignore[type-arg]  # generic in the newest click alone
    """One of some names; a word that is none of them is answered with the nearest.

    Args:
        also: What others call them.
    """

    def __init__(self, names: Sequence[str], also: Mapping[str, str] | None = None) -> None:
        super().__init__(names)
        self.also = also or {}

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            ours = self.also.get(value)
            hint = f" Did you mean '{ours}'?" if ours else did_you_mean(value, self.choices)
            raise click.BadParameter(error.message + hint, ctx, param) from error


def known(kind: str) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """Checks that plugins offer something of this kind by the name that was given."""
    return _checked(lambda name: load_plugins().entry(kind, name))


def check_file(path: Path) -> None:
    """A file or a folder is there."""
    if not path.exists():
        raise no_such_file(path)


def _check_files(paths: Sequence[Path]) -> None:
    for path in paths:
        check_file(path)


def _check_file_or_run(path: Path) -> None:
    if path.suffix == ".inr":
        check_file(path)
    elif not path.is_file():
        check_run(path)


def _check_data(data: str) -> None:
    if data != EMBEDDED and "://" not in data and not Path(data).expanduser().exists():
        raise no_such_file(data)


run = click.argument("run", type=PATH, shell_complete=complete.runs, callback=_checked(check_run))
file = click.argument("file", type=PATH, callback=_checked(check_file))
inr_files = click.argument(
    "files",
    nargs=-1,
    required=True,
    metavar="FILE.inr...",
    type=PATH,
    callback=_checked(_check_files),
)
file_or_run = click.argument(
    "file",
    metavar="FILE.inr|RUN",
    type=PATH,
    shell_complete=complete.runs,
    callback=_checked(_check_file_or_run),
)
row = click.option(
    "--row",
    type=click.IntRange(min=0),
    metavar="K",
    help="Which signal of a file of several, from 0. [default: its only one]",
)
dtype = click.option(
    "--dtype",
    metavar="NAME",
    type=Choice(DTYPES),
    default="fp32",
    show_default=True,
    help="Number format of the .inr files, fp32, bf16 (half the bytes) or int8 (a quarter); their error is told.",
)
without_function = click.option(
    "--without-function",
    is_flag=True,
    help="Leave out of .inr files the weights that all signals share. For an installed model, such as faces: the files "
    "open only where it is installed.",
)
depth = click.option(
    "--depth",
    is_flag=True,
    help="Also write how far away an object is: a picture, NAME-depth16.png of 16 bits, and numbers in NAME-depth.npy.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
table = click.option(
    "--table",
    metavar="FILE",
    type=PATH,
    callback=keep,
    expose_value=False,
    help="Also write the table to FILE: .csv, or .tex for LaTeX (package booktabs). [default: none]",
)


def inputs(*, required: bool) -> Decorator:
    """Files of the user."""
    kind = click.Path(exists=True, path_type=Path)
    return click.argument("inputs", nargs=-1, required=required, type=kind, metavar="INPUT...")


_LAYOUT: Sequence[tuple[str, dict[str, Any], str]] = (
    (
        "--columns",
        {"metavar": "N", "type": COUNT},
        "Pictures beside each other on the sheet. [default: what fits]",
    ),
    ("--scale", {"metavar": "N", "type": COUNT}, "Dots of every pixel on the sheet. [default: 96 dots a picture]"),
    ("--rows", {"metavar": "NAME,..."}, "Rows of the sheet, by their names, in this order. [default: all]"),
    ("--pick", {"metavar": "K,..."}, "Signals on the sheet, by their numbers from 0. [default: the first ones]"),
    ("--sheet", {"metavar": "FILE", "type": PATH}, "Also write the sheet to FILE: .pdf, .svg or .png. [default: none]"),
)


def layout(*, rows: bool, sheet: str | None = None) -> Decorator:
    """How the sheet of a command looks, which the command takes as ``layout``; with named rows or not.

    ``sheet`` is the help of ``--sheet``, where nothing else is written.
    """

    def decorate(callback: Callable[..., Any]) -> Any:
        @functools.wraps(callback)
        def called(**given: Any) -> Any:
            asked = {flag[2:]: given.pop(flag[2:]) for flag in offered}
            return callback(**given, layout=_layout(**asked))

        offered = {flag: (kind, text) for flag, kind, text in _LAYOUT if rows or flag != "--rows"}
        if sheet is not None:
            offered["--sheet"] = offered["--sheet"][0], sheet
        wrapped: Any = called
        for flag, (kind, text) in reversed(offered.items()):
            wrapped = click.option(flag, **kind, help=text)(wrapped)
        return wrapped

    return decorate


def _layout(
    columns: int | None, scale: int | None, pick: str | None, sheet: Path | None, rows: str | None = None
) -> Layout:
    """What was asked for, checked before there are pictures."""
    if sheet is not None and sheet.suffix not in SUFFIXES:
        raise UsageError(f"'--sheet' ends with {', '.join(SUFFIXES)} (got '{sheet}')")
    numbers = None if pick is None else [part.strip() for part in pick.split(",")]
    if numbers is not None and not all(map(str.isdecimal, numbers)):
        raise UsageError(f"'--pick' is numbers from 0, separated by commas, such as 0,3,5 (got '{pick}')")
    names = None if rows is None else [part.strip() for part in rows.split(",")]
    return Layout(columns, scale, names, None if numbers is None else [int(part) for part in numbers], sheet)


def check_for_sheet(layout: Layout) -> None:
    """`UsageError` for wishes about a sheet that is not written, where ``--sheet`` alone asks for one."""
    for flag, value in (("--columns", layout.columns), ("--scale", layout.scale), ("--pick", layout.pick)):
        if layout.path is None and value is not None:
            raise UsageError(f"'{flag}' is for the sheet of '--sheet' FILE, found none")


def size(text: str) -> Decorator:
    """How large pictures are made; how many axes there are, the modality knows."""
    return click.option("--size", metavar="WxH", help=text, callback=_checked(check_size))


def check_size(text: str) -> None:
    """`UsageError` for what is no number of cells along each axis."""
    if not re.fullmatch(r"0*[1-9]\d*(x0*[1-9]\d*)*", text.lower()):
        raise UsageError(f"'--size' is positive numbers such as 64x64, or one for all axes (got '{text}')")


def device(default: str = "auto") -> Decorator:
    """Where a command computes."""
    text = "Device: auto, cpu, cuda, mps, xpu, or cuda:N."
    return click.option(
        "--device", metavar="NAME", default=default, show_default=True, help=text, callback=_checked(check_device)
    )


def data(text: str) -> Decorator:
    """Signals of the user."""
    return click.option("--data", metavar="DATA", help=text, callback=_checked(_check_data))


def seed(text: str) -> Decorator:
    """Of what is drawn at random."""
    return click.option("--seed", metavar="N", type=click.IntRange(min=0), default=0, show_default=True, help=text)


def label(text: str) -> Decorator:
    """The classes of "cat, 3"."""
    return click.option("--label", metavar="K,...", callback=_listed, help=text)


def _listed(ctx: click.Context, parameter: click.Parameter, text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",")]


def out(text: str, *, required: bool = False, **kind: bool) -> Decorator:
    """Where results are written; ``kind`` says what it cannot be, as of `click.Path`."""
    where = click.Path(path_type=Path, **kind)
    return click.option("-o", "--out", metavar="OUT", type=where, required=required, help=text)


def keys(flag: str, name: str, text: str) -> Decorator:
    """KEY=VALUE, as often as wished."""
    return click.option(flag, name, multiple=True, metavar="KEY=VALUE", help=text)


def pairs(flag: str, texts: Sequence[str], example: str) -> dict[str, str]:
    """The keys and values of such a flag."""
    found = [text.partition("=") for text in texts]
    for key, equals, value in found:
        if not key or not value:
            raise UsageError(f"'{flag}' is KEY=VALUE such as {example} (got '{key}{equals}{value}')")
    return {key: value for key, _, value in found}


def times(text: str) -> Decorator:
    """Noise levels to sample by way of."""

    def parsed(ctx: click.Context, parameter: click.Parameter, value: str | None) -> tuple[float, ...] | None:
        return None if value is None or ctx.resilient_parsing else parse_times(value)

    return click.option("--times", metavar="T,T,...", callback=parsed, help=text)


def parse_times(text: str) -> tuple[float, ...]:
    """The numbers of "80,0.821"."""
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        found = ()
    if not found or not all(map(math.isfinite, found)):
        raise UsageError(f"'--times' must be numbers such as 80,0.821 (got '{text}')")
    return found


def guidance(text: str) -> Decorator:
    """The scale of classifier-free guidance."""
    return click.option("--guidance", type=float, default=1.0, show_default=True, metavar="W", help=text)


def signals(default: int) -> Decorator:
    """How many of them figures are about."""
    text = f"{MOST}: generated ones and held-out ones; at least {SIGNALS}, and {ENOUGH} for figures of sets (Fréchet)."
    kind: dict[str, Any] = {"metavar": "N", "type": int, "default": default, "callback": _checked(check_count)}
    return click.option("-n", "--limit", "n", **kind, show_default=True, help=text)
