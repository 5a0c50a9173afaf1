"""``inrkit encode``."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from inrkit.cli import option
from inrkit.cli.help import command
from inrkit.cli.output import bar, note, say
from inrkit.cli.table import Table, kept_in, say_result
from inrkit.errors import DataError, UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from inrkit.core.modality import Signals
    from inrkit.drawing.layout import Layout
    from inrkit.inference.model import Model
    from inrkit.storage.inrfile import InrFile
    from inrkit.storage.rounding import Dtype

_SPLIT = option.Choice(["train", "test", "all"])
_BATCH = 64
_ON_SHEET = 24


@command()
@option.run
@option.inputs(required=False)
@option.data("Encode a whole data set: a store, or 'embedded' (the synthetic signals). [default: none]")
@click.option("--split", type=_SPLIT, default="all", show_default=True, help="Which split of --data.")
@click.option(
    "-n", "--limit", metavar="N", type=option.COUNT, help=f"{option.MOST} of each split of --data. [default: all]"
)
@option.label("Class label of the INPUTs by number or name; several are used in turn. [default: none]")
@click.option("--skip-broken", is_flag=True, help="Leave out files that cannot be read, instead of stopping.")
@option.depth
@option.device()
@option.out(
    "A folder, or FILE.inr for all INPUTs in one file; with --data FILE.h5. [default: RUN/encoded or RUN/params.h5]"
)
@option.dtype
@option.without_function
@option.layout(rows=True)
@option.table
@option.as_json
def encode(
    run: Path,
    inputs: tuple[Path, ...],
    data: str | None,
    split: str,
    limit: int | None,
    label: list[str] | None,
    skip_broken: bool,
    depth: bool,
    device: str,
    out: Path | None,
    dtype: "Dtype",
    without_function: bool,
    as_json: bool,
    layout: "Layout",
) -> None:
    """Encode files as INRs with a trained run: one forward pass each.

    \b
      inrkit encode runs/first photo.png -o photo.inr
      inrkit encode runs/first photos/*.png -o encoded
      inrkit encode runs/first photos/*.png -o photos.inr --dtype int8
      inrkit encode faces photo.png -o photo.inr --dtype bf16 --without-function
      inrkit encode runs/first photos/*.png --pick 0,2,3 --scale 4 --sheet figure.pdf
      inrkit encode runs/first --data embedded -o params.h5
      inrkit train --modality params --data params.h5 --out runs/second

    Writes an .inr file for each INPUT to OUT, NAME-encoded.wav of a sound, and a sheet.png with the inputs above their
    reconstructions; with -o FILE.inr one file of all, which holds what they share only once. Prints the reconstruction
    PSNR of each in dB, at the resolution of training. With --data, writes the INR params of a whole data set to one
    file, on which a second-stage model can be trained.
    """
    _check_arguments(inputs, data, label, depth)
    with bar("loading the model"):
        from inrkit.cli.files import about_files, made_folder, save_all
        from inrkit.inference.given import fittings

        function_of = _function_of(run, without_function)
        model = _loaded(run, device, None if data else out)
    if data is not None:
        say(str(_encode_set(model, data, split, limit, out)))
        return
    signals, names = _read(model, inputs, skip_broken=skip_broken)
    for line in fittings(model.modality, signals, names):
        note(line)
    _check_layout(layout, len(names), depth)
    classes = None if label is None else model.labels(len(names), 0, label)
    signals = signals if classes is None else {**signals, "label": classes}
    files, sheet = _targets(model.run, inputs, names, out)
    for folder in {file.parent for file in files}:
        made_folder(folder)
    rows, inrs = _encode_files(model, signals, names, files, sheet, layout, depth)
    save_all(inrs, files, dtype, function_of)
    if not as_json:
        for row in rows:
            say(f"{row['file']}  {row['psnr']:.2f} dB  {row['source']}")
        if about := about_files(model, inrs, files, dtype, function_of):
            say(f"{len(inrs)} INRs{about}")
    cells = [[row["source"], row["file"], row["psnr"]] for row in rows]
    say_result(rows, [Table(["source", "file", "PSNR, dB"], cells)], as_json=as_json, said=True)


def _check_layout(layout: "Layout", count: int, depth: bool) -> None:
    layout.picked(count)
    layout.chosen_rows(dict.fromkeys(["original", "reconstruction", *(["depth"] if depth else [])]))


def _check_arguments(inputs: tuple[Path, ...], data: str | None, label: list[str] | None, depth: bool) -> None:
    if (data is None) == (not inputs):
        raise UsageError("expected either files or a data set with --data, found " + ("both" if inputs else "neither"))
    if data is not None and label is not None:
        raise UsageError("'--label' is for files; a data set has its own labels")
    if data is not None and depth:
        raise UsageError("'--depth' is for files; '--data' writes params alone")
    if data is not None and kept_in() is not None:
        raise UsageError("'--table' is for files; '--data' writes params alone")


def _function_of(run: Path, without_function: bool) -> str | None:
    """The model whose function files leave out, if they do."""
    from inrkit.storage.reference import check_installed

    return check_installed(str(run)) if without_function else None


def _loaded(run: Path, device: str, out: Path | None) -> "Model":
    """The model, once it is known that what is to be written has a right name."""
    from inrkit.cli.files import is_file_name
    from inrkit.inference.model import Model

    if out is not None and out.suffix != ".inr" and is_file_name(out):
        raise UsageError(f"{out}: expected an .inr file or a folder; 'inrkit render' makes pictures of .inr files")
    return Model.load(run, device=device)


def _encode_set(model: "Model", data: str, split: str, limit: int | None, out: Path | None) -> Path:
    """Writes the params of a data set; returns the file."""
    from inrkit.cli.files import made_folder
    from inrkit.inference.encodeset import SPLITS, encode_set

    store = out or made_folder(model.run) / "params.h5"
    splits = SPLITS if split == "all" else (split,)
    with bar("encoding") as progress:
        path = None if data == option.EMBEDDED else data
        return encode_set(model, path, store, splits=splits, limit=limit, progress=progress)


def _encode_files(
    model: "Model",
    signals: "Signals",
    names: Sequence[str],
    files: Sequence[Path],
    sheet: Path | None,
    layout: "Layout",
    depth: bool,
) -> tuple[list[dict[str, Any]], list["InrFile"]]:
    """What is to be said of each signal, and its INR; writes a sheet of the first."""
    import torch

    from inrkit.cli.files import depths_of, inrs_of, save_own, with_depths
    from inrkit.drawing.sheet import save_sheet
    from inrkit.inference.picture import pictures_of
    from inrkit.inference.signalset import batches
    from inrkit.metrics.metric import psnr

    decibels: list[float] = []
    depths: list[Tensor] = []
    inrs: list[InrFile] = []
    pictures: dict[str, list[Tensor]] = {}
    with bar("encoding") as progress:
        for part in batches(len(names), _BATCH):
            rows = slice(part.start, part.stop)
            batch = model.observe({name: value[rows] for name, value in signals.items()}, part)
            prediction = model.encode(batch)
            pair = {"original": batch.query.values, "reconstruction": prediction.at(batch.query.where)}
            again = [path.with_name(f"{path.stem}-encoded.inr") for path in files[rows]]
            save_own(model, pair["reconstruction"], again if sheet else [])
            origins = [{"kind": "encode", "source": Path(name).name} for name in names[rows]]
            inrs += inrs_of(model, prediction, origins)
            depths += depths_of(model, prediction, batch.query) if depth else []
            # Values lie in [-1, 1].
            decibels += psnr(pair["reconstruction"].clamp(-1, 1), pair["original"], peak=2).tolist()
            if part.start < (wanted := layout.count(_ON_SHEET)):
                for name, values in pair.items():
                    pictures.setdefault(name, []).append(pictures_of(model, values[: wanted - part.start]))
            progress(part.stop, len(names))
    captions = [f"{value:.1f} dB" for value in decibels]
    whole = {name: torch.cat(parts) for name, parts in pictures.items()}
    shown = with_depths(whole, model, depths, files if sheet else [])
    for path in save_sheet(shown, layout, sheet, captions=captions):
        note(str(path))
    places = files if len(files) == len(names) else [files[0]] * len(names)
    rows_of = zip(names, places, decibels, strict=True)
    return [{"source": str(name), "file": str(file), "psnr": value} for name, file, value in rows_of], inrs


def _targets(
    run: Path, inputs: Sequence[Path], names: Sequence[str], out: Path | None
) -> tuple[list[Path], Path | None]:
    """The .inr file of each signal, or of all; and of the sheet, which one file goes without."""
    from inrkit.cli.files import names_for

    if out is not None and out.suffix == ".inr":
        return [out], None
    folder = out or run / "encoded"
    sheet = folder / "sheet.png"
    if sheet.resolve() in {path.resolve() for path in inputs}:
        raise UsageError(f"{sheet}: the sheet of the encodes would replace this input; choose another folder")
    return [folder / f"{name}.inr" for name in names_for(names)], sheet


def _read(model: "Model", inputs: Sequence[Path], *, skip_broken: bool) -> tuple["Signals", Sequence[str]]:
    """The signals of files, folders and archives; those that cannot be read are named and left out if so wished."""
    import torch

    read = model.modality.display.read
    if not skip_broken:
        try:
            return read(inputs)
        except DataError as error:
            if len(inputs) == 1 and not inputs[0].is_dir():
                raise
            raise DataError(f"{error}; --skip-broken leaves out what cannot be read") from error
    found: list[Signals] = []
    named: list[str] = []
    for path in (file for given in inputs for file in (_files(given) if given.is_dir() else [given])):
        try:
            signals, names = read([path])
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
