"""``inrkit encode``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from inrkit.cli import option
from inrkit.cli.output import bar, note, say, say_json
from inrkit.cli.sample import parse_labels
from inrkit.errors import DataError, UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from inrkit.core.modality import Signals
    from inrkit.inference.model import Model

_BATCH = 64
_ON_SHEET = 24


@click.command()
@option.run
@click.argument("inputs", nargs=-1, type=click.Path(exists=True, path_type=Path), metavar="INPUT...")
@click.option("--data", metavar="FILE", help="Encode a whole data set: a store, or 'embedded' (the synthetic signals).")
@click.option(
    "--split",
    type=click.Choice(["train", "test", "both"]),
    default="both",
    show_default=True,
    help="Which split of --data.",
)
@click.option(
    "-n", "limit", type=click.IntRange(min=1), help="Maximum number of signals of each split.  [default: all]"
)
@click.option("--label", metavar="K,...", help="Class label of the INPUTs by number or name; several are used in turn.")
@click.option("--skip-broken", is_flag=True, help="Leave out files that cannot be read, instead of stopping.")
@option.device()
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="A folder, or FILE.inr; with --data FILE.h5.  [default: RUN/encoded or RUN/params.h5]",
)
@option.as_json
def encode(
    run: Path,
    inputs: tuple[Path, ...],
    data: str | None,
    split: str,
    limit: int | None,
    label: str | None,
    skip_broken: bool,
    device: str,
    out: Path | None,
    as_json: bool,
) -> None:
    """Encode files as INRs with a trained run: one forward pass each.

    Writes an .inr file for each INPUT to OUT, and a sheet.png with the inputs above their reconstructions. Prints the
    reconstruction PSNR of each in dB, at the resolution of training. With --data, writes the INR params of a whole
    data set to one file, on which a second-stage model can be trained.

    \b
      inrkit encode runs/first photo.png -o photo.inr
      inrkit encode runs/first photos/*.png -o encoded
      inrkit encode runs/first --data embedded -o params.h5
      inrkit train --modality params --data params.h5 --out runs/second
    """
    if (data is None) == (not inputs):
        raise UsageError("expected either files or a data set with --data, found " + ("both" if inputs else "neither"))
    if data is not None:
        if label is not None:
            raise UsageError("'--label' is for files; a data set has its own labels")
        _encode_set(run, data, split, limit, device, out or run / "params.h5")
        return
    from inrkit.cli.files import is_file_name, made_folder
    from inrkit.inference.model import Model

    if out is not None and out.suffix != ".inr" and is_file_name(out):
        raise UsageError(f"{out}: expected an .inr file or a folder; 'inrkit render' makes pictures of .inr files")
    model = Model.load(run, device=device)
    signals, names = _read(model, inputs, skip_broken=skip_broken)
    classes = None if label is None else model.labels(len(names), 0, parse_labels(label))
    signals = signals if classes is None else {**signals, "label": classes}
    files, sheet = _targets(run, inputs, names, out)
    for folder in {file.parent for file in files}:
        made_folder(folder)
    rows = _encode_files(model, signals, names, files, sheet)
    if as_json:
        say_json(rows)
        return
    for row in rows:
        say(f"{row['file']}  {row['psnr']:.2f} dB  {row['source']}")


def _encode_files(
    model: "Model", signals: "Signals", names: Sequence[str], files: Sequence[Path], sheet: Path | None
) -> list[dict[str, Any]]:
    """Writes an .inr file for each signal, and the sheet; returns what is to be said of each."""
    from inrkit.cli.files import save_all

    rows: list[dict[str, Any]] = []
    pairs: list[tuple[Any, Any]] = []
    with bar("encoding") as progress:
        for start in range(0, len(names), _BATCH):
            part = slice(start, min(start + _BATCH, len(names)))
            batch = model.observe({name: value[part] for name, value in signals.items()}, range(len(names))[part])
            prediction = model.encode(batch)
            shown = prediction.at(batch.query.where)
            origins = [{"kind": "encode", "source": Path(name).name} for name in names[part]]
            save_all(model, prediction, files[part], origins)
            rows += _rows(names[part], files[part], shown, batch.query.values)
            pairs += [(batch.query.values, shown)] if start < _ON_SHEET else []
            progress(part.stop, len(names))
    if sheet is not None:
        _save_sheet(model, rows, pairs, sheet)
    return rows


def _encode_set(run: Path, data: str, split: str, limit: int | None, device: str, out: Path) -> None:
    from inrkit.inference.encodeset import SPLITS, encode_set
    from inrkit.inference.model import Model

    model = Model.load(run, device=device)
    splits = SPLITS if split == "both" else (split,)
    with bar("encoding") as progress:
        path = None if data == "embedded" else data
        encode_set(model, path, out, splits=splits, limit=limit, progress=progress)
    say(str(out))


def _targets(
    run: Path, inputs: Sequence[Path], names: Sequence[str], out: Path | None
) -> tuple[list[Path], Path | None]:
    """The .inr file of each signal; and of the sheet, which one file goes without."""
    from inrkit.cli.files import names_for

    if out is not None and out.suffix == ".inr":
        if len(names) != 1:
            raise UsageError(f"{out}: expected one input for one .inr file, found {len(names)}; give a folder instead")
        return [out], None
    folder = out or run / "encoded"
    sheet = folder / "sheet.png"
    if sheet.resolve() in {path.resolve() for path in inputs}:
        raise UsageError(f"{sheet}: the sheet of the encodes would replace this input; choose another folder")
    return [folder / f"{name}.inr" for name in names_for(names)], sheet


def _read(model: "Model", inputs: Sequence[Path], *, skip_broken: bool) -> tuple["Signals", list[str]]:
    """The signals of files, folders and archives; those that cannot be read are named and left out if so wished."""
    import torch

    if not skip_broken:
        try:
            signals, names = model.modality.display.read(inputs)
        except DataError as error:
            raise DataError(f"{error}; --skip-broken leaves out what cannot be read") from error
        return signals, list(names)
    found: list[Signals] = []
    named: list[str] = []
    for path in (file for given in inputs for file in (_files(given) if given.is_dir() else [given])):
        try:
            signals, names = model.modality.display.read([path])
        except DataError as error:
            note(f"skipped {error}")
            continue
        found.append(signals)
        named += names
    if not found:
        raise DataError(f"{inputs[0]}: expected signals, found only what cannot be read")
    return {name: torch.cat([signals[name] for signals in found]) for name in found[0]}, named


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))


def _rows(names: Sequence[str], files: Sequence[Path], shown: "Tensor", truth: "Tensor") -> list[dict[str, Any]]:
    from inrkit.metrics.metric import psnr

    decibels = psnr(shown.clamp(-1, 1), truth, peak=2).tolist()  # values lie in [-1, 1]
    return [
        {"source": str(name), "file": str(file), "psnr": value}
        for name, file, value in zip(names, files, decibels, strict=True)
    ]


def _save_sheet(
    model: "Model", rows: Sequence[Mapping[str, Any]], pairs: Sequence[tuple["Tensor", "Tensor"]], path: Path
) -> None:
    """The first originals, above their encodes."""
    import torch

    from inrkit.drawing.sheet import labelled_rows, save_png
    from inrkit.inference.picture import pictures_of

    original, encoded = (pictures_of(model, torch.cat(values)[:_ON_SHEET]) for values in zip(*pairs, strict=True))
    captions = [f"{row['psnr']:.1f} dB" for row in rows[:_ON_SHEET]]
    save_png(labelled_rows({"original": original, "reconstruction": encoded}, captions=captions), path)
