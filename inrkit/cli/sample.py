"""``inrkit sample``."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from inrkit.cli import complete, option
from inrkit.cli.help import command
from inrkit.cli.output import bar, say
from inrkit.errors import UsageError

if TYPE_CHECKING:
    from inrkit.core.sample import Sampler
    from inrkit.drawing.layout import Layout
    from inrkit.inference.model import Model
    from inrkit.storage.rounding import Dtype


@command()
@option.run
@click.option("-n", "count", metavar="N", type=option.COUNT, default=16, show_default=True, help="Number of samples.")
@click.option("--steps", metavar="N", type=option.COUNT, help="Sampling steps. [default: 1; diffusion: 18]")
@option.times("The noise levels themselves, highest first, such as 80,0.821. [default: by --steps]")
@click.option(
    "--sampler",
    metavar="NAME",
    shell_complete=complete.names("sampler"),
    callback=option.known("sampler"),
    help="Sampler: consistency, heun, euler or a plugin's. [default: that of the objective; diffusion: heun]",
)
@option.seed("Random seed; equal seeds give equal samples.")
@option.size("Resolution of the pictures; .inr files have none. [default: as trained]")
@option.label(
    "Class label by number or name, or none; several are used in turn. [default: random, if the run has classes]"
)
@option.guidance("Scale of classifier-free guidance; 1: none. Needs a run with 'label_dropout' or 'guidance_range'.")
@option.depth
@option.device()
@option.out("A folder, or FILE.inr for all samples in one file.  [default: RUN/generated]")
@option.dtype
@option.without_function
@option.layout(rows=False)
@click.option("--overwrite", is_flag=True, help="Remove other samples that are in OUT.")
@click.option(
    "--npz",
    metavar="FILE.npz",
    type=option.PATH,
    help="Instead of OUT write one file with the pictures of all samples: 'arr_0' (N, H, W, 3) in bytes, and 'labels' "
    "if there are any. For very many samples; memory does not grow with their number. [default: a folder]",
)
def sample(
    run: Path,
    count: int,
    steps: int | None,
    times: tuple[float, ...] | None,
    sampler: str | None,
    seed: int,
    size: str | None,
    label: list[str] | None,
    guidance: float,
    depth: bool,
    device: str,
    out: Path | None,
    dtype: "Dtype",
    without_function: bool,
    overwrite: bool,
    npz: Path | None,
    layout: "Layout",
) -> None:
    """Generate new signals with a trained run.

    \b
      inrkit sample runs/first -n 64 -o new
      inrkit sample runs/first --steps 2 --size 256x256
      inrkit sample runs/first -n 64 -o new.inr --dtype int8
      inrkit sample runs/first --pick 0,3,5,8 --columns 4 --sheet figure.pdf
      inrkit sample runs/digits --label 3,5 --guidance 1.5
      inrkit sample runs/first -n 50000 --npz many.npz

    Writes an .inr file and a picture of each sample to OUT, of a sound a .wav too, and all of them to sheet.png. With
    -o FILE.inr all samples are in one file, which holds what they share only once, and FILE.png shows them. A larger
    -n with the same seed extends the same samples. Two-step sampling uses the intermediate noise level that
    was best when training ended, or that `inrkit evaluate RUN --search-times` found; after a very short run, 30.
    """
    layout.picked(count)
    others = [name for name, given in (("--out", out), ("--overwrite", overwrite), ("--depth", depth)) if given]
    _check_arguments(steps, times, npz, others)
    with bar("loading the model"):
        from inrkit.inference.model import Model
        from inrkit.inference.times import make_sampler
        from inrkit.storage.reference import check_installed

        function_of = check_installed(str(run)) if without_function else None
        model = Model.load(run, device=device)
    way = make_sampler(model.sampler if sampler is None else sampler)
    levels = model.times(steps, way) if times is None else times
    if size is not None:
        # A mistake in it, or too much of it, shows before the work; '--npz' holds a part of the samples at a time.
        model.places({"size": size}, count if npz is None else 1)
    if npz is None:
        shown = (size, depth, layout)
        _write(model, out, count, seed, levels, label, way, guidance, dtype, function_of, overwrite, *shown)
        return
    from inrkit.inference.sampleset import save_samples

    with bar("sampling") as progress:
        how: dict[str, Any] = {"sampler": way, "guidance": guidance, "size": size, "progress": progress}
        save_samples(model, npz, count, seed, levels, label, **how)
    say(f"{npz}: {count} samples")


def _check_arguments(steps: int | None, times: object, npz: Path | None, others: Sequence[str]) -> None:
    if times is not None and steps is not None:
        raise UsageError("expected '--steps' or '--times', found both; the times say how many steps there are")
    if npz is not None and others:
        raise UsageError(f"expected '--npz' or '{others[0]}', found both; '--npz' writes one file of pictures alone")


def _write(
    model: "Model",
    out: Path | None,
    count: int,
    seed: int,
    levels: Sequence[float],
    label: list[str] | None,
    way: "Sampler",
    guidance: float,
    dtype: "Dtype",
    function_of: str | None,
    overwrite: bool,
    size: str | None,
    depth: bool,
    layout: "Layout",
) -> None:
    """A file of each sample with its picture, or one file of all; and the sheet of all."""
    from inrkit.cli.files import about_files, depths_of, inrs_of, save_all, save_own, seen_at, shown, with_depths
    from inrkit.drawing.sheet import save_png, save_sheet, to_image
    from inrkit.inference.given import require_set

    out = out or model.run / "generated"
    require_set(model.modality, model.pipeline, count, model.device)
    known = model.labels(count, seed, label)
    files, others = _targets(out, count, overwrite)
    with bar("sampling") as progress:
        prediction = model.sample(count, seed, levels, label, sampler=way, guidance=guidance, progress=progress)
    pictures = shown(model, prediction, size)
    depths = depths_of(model, prediction, seen_at(model, count, size)) if depth else []
    origin = {"kind": "sample", "seed": seed, "times": list(levels), "sampler": way.name, "guidance": guidance}
    classes = [{}] * count if known is None else [{"label": int(k)} for k in known]
    inrs = inrs_of(model, prediction, [{**origin, **classes[i], "number": i} for i in range(count)])
    save_all(inrs, files, dtype, function_of)
    alone = files == [out]
    for picture, file in zip(pictures, [] if alone else files, strict=False):
        save_png(to_image(picture), file.with_suffix(".png"))
    save_own(model, prediction.signal, [] if alone else files)
    rows = with_depths({"": pictures}, model, depths, [] if alone else files)
    seen = save_sheet(rows, layout, out.with_suffix(".png") if alone else out / "sheet.png")
    for other in others:
        for suffix in (".inr", ".png", model.modality.display.suffix):
            other.with_suffix(suffix).unlink(missing_ok=True)
        for path in [*out.glob(f"{other.stem}-depth*.*"), *out.glob(f"{other.stem}-depth16/*.png")]:
            path.unlink()
    about = about_files(model, inrs, files, dtype, function_of)
    say(f"{out}: {count} {'sample' if count == 1 else 'samples'}{about}; see {' and '.join(map(str, seen))}")


def _targets(out: Path, count: int, overwrite: bool) -> tuple[list[Path], list[Path]]:
    """The .inr files to write, and those of an earlier call that are to be removed."""
    from inrkit.cli.files import is_file_name, made_folder

    if out.suffix == ".inr":
        made_folder(out.parent)
        return [out], []
    if is_file_name(out):
        raise UsageError(f"{out}: expected an .inr file or a folder; 'inrkit render' makes pictures of .inr files")
    folder = made_folder(out)
    others = [path for path in folder.glob("*.inr") if path.stem.isdecimal() and int(path.stem) >= count]
    if others and not overwrite:
        raise UsageError(
            f"{folder}: {len(others)} samples of an earlier call would stay beside the new {count}; choose "
            "another OUT, or give '--overwrite' to remove them"
        )
    return [folder / f"{i:04d}.inr" for i in range(count)], others
