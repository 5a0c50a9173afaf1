"""``inrkit render``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import click

from inrkit.cli import option
from inrkit.cli.help import command
from inrkit.cli.output import bar, note, say
from inrkit.errors import UsageError

if TYPE_CHECKING:
    from inrkit.drawing.layout import Layout


@command()
@option.inr_files
@option.size("Resolution, such as 1024x1024. [default: as trained]")
@click.option(
    "--orbit",
    metavar="N",
    help="N views on a circle around an object, as a GIF or in the format of OUT. [default: one view]",
)
@option.depth
@option.keys("--at", "places", "Further coordinates, as the modality defines them; may be repeated.")
@option.row
@option.device("cpu")
@option.layout(
    rows=False,
    sheet="In place of OUT write one sheet of all signals of all files to FILE: .pdf, .svg or .png. [default: none]",
)
@option.out("[default: beside FILE.inr, with the request in its name]")
def render(
    files: Sequence[Path],
    size: str | None,
    orbit: str | None,
    depth: bool,
    places: tuple[str, ...],
    row: int | None,
    device: str,
    out: Path | None,
    layout: "Layout",
) -> None:
    """Render an .inr file at any resolution or from any viewpoint, without the run that made it.

    \b
      inrkit render new/0000.inr --size 512x512
      inrkit render photo.inr --size 640x640 -o large.png
      inrkit render new.inr --row 3 --size 512x512             one of several signals in a file
      inrkit render new/*.inr --size 64x64 --columns 8 --sheet figure.pdf
      inrkit render car.inr --orbit 60 -o car.gif              or .webp, .mp4, or a folder of frames
      inrkit render car.inr --depth --size 256x256             also car-256x256-depth.png, and numbers
      inrkit render car.inr --at elevation=60 --at azimuth=120 --size 256x256

    A depth picture is brightest where the object is nearest, and black where there is none. The numbers beside it are
    distances along each ray from the camera, in the world's units: in NAME-depth.npy (views, height, width), infinite
    where nothing is met; in NAME-depth16.png levels of 16 bits, 0 where nothing is met, times the 'scale' that the file
    tells. Of several views there is a folder of those, NAME-depth16.
    """
    request = {key: value for key, value in (("size", size), ("orbit", orbit)) if value is not None}
    request |= option.pairs("--at", places, "azimuth=90")
    _check(files, layout, out, depth=depth)
    if layout.path is not None:
        say(str(_sheet(files, row, request, device, layout)))
        return
    (file,) = files
    with bar("opening the file"):
        from inrkit.cli.files import made_folder, save_depth
        from inrkit.inference.opened import open_inr

        opened = open_inr(file, device, row=row)
    asked = "-".join(value if key == "size" else f"{key}{value}" for key, value in request.items() if "/" not in value)
    stem = file.stem if row is None else f"{file.stem}-{row}"
    path = out or file.with_name(f"{stem}-{asked or 'render'}{opened.modality.display.suffix}")
    if size is not None and (remark := opened.stretched(size)):
        note(remark)
    with bar("rendering") as progress:
        seen = opened.render_with_depth(request, progress=progress) if depth else None
        values = opened.render(request, progress=progress) if seen is None else [each.colour for each in seen]
    made_folder(path.parent)
    say(str(opened.modality.display.write(values, path)))
    if seen is not None:
        for beside in save_depth(opened.modality.display, [each.depth for each in seen], path):
            say(str(beside))


def _check(files: Sequence[Path], layout: "Layout", out: Path | None, *, depth: bool) -> None:
    """What belongs to a sheet, and what does not."""
    if layout.path is None:
        if len(files) > 1:
            raise UsageError(f"expected one file, found {len(files)}; '--sheet' FILE shows all of them on one sheet")
        option.check_for_sheet(layout)
    elif other := "--out" if out is not None else "--depth" if depth else None:
        raise UsageError(f"expected '--sheet' or '{other}', found both; '--sheet' writes one sheet alone")


def _sheet(files: Sequence[Path], row: int | None, request: Mapping[str, str], device: str, layout: "Layout") -> Path:
    """One picture of each signal, or of each view of it, on one sheet."""
    import torch

    from inrkit.cli.files import made_folder
    from inrkit.drawing.sheet import save_sheet
    from inrkit.inference.opened import open_inr
    from inrkit.storage.inrfile import load_inr, load_inrs

    inrs = [inr for file in files for inr in (load_inrs(file) if row is None else [load_inr(file, row)])]
    pictures = []
    with bar("rendering") as progress:
        for i in layout.picked(len(inrs)):
            opened = open_inr(inrs[i], device)
            pictures += [opened.modality.display.pictures(values[None]).float() for values in opened.render(request)]
            progress(len(pictures), len(layout.picked(len(inrs))))
    sizes = {"x".join(map(str, reversed(picture.shape[2:]))) for picture in pictures}
    if len(sizes) > 1:
        raise UsageError(f"expected pictures of one size, found {', '.join(sorted(sizes))}; give '--size'")
    if layout.path is not None:
        made_folder(layout.path.parent)
    every = attrs.evolve(layout, pick=None)  # others have not been rendered
    return save_sheet({"": torch.cat(pictures)}, every, None)[0]
