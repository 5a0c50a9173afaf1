"""``inrkit render``."""

from pathlib import Path

import click

from inrkit.cli import option
from inrkit.cli.help import command
from inrkit.cli.output import bar, note, say


@command()
@option.inr_file
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
@option.out("[default: beside FILE.inr, with the request in its name]")
def render(
    file: Path,
    size: str | None,
    orbit: str | None,
    depth: bool,
    places: tuple[str, ...],
    row: int | None,
    device: str,
    out: Path | None,
) -> None:
    """Render an .inr file at any resolution or from any viewpoint, without the run that made it.

    \b
      inrkit render new/0000.inr --size 512x512
      inrkit render photo.inr --size 640x640 -o large.png
      inrkit render new.inr --row 3 --size 512x512             one of several signals in a file
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
