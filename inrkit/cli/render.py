"""``inrkit render``."""

from pathlib import Path

import click

from inrkit.cli.output import say


@click.command()
@click.argument("file", metavar="FILE.inr", type=click.Path(path_type=Path))
@click.option("--size", metavar="WxH", help="Any size, such as 1024x1024. [default: as trained]")
@click.option("--device", default="cpu", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option(
    "-o",
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="[default: beside FILE.inr, with the size in its name]",
)
def render(file: Path, size: str | None, device: str, out: Path | None) -> None:
    """Render an .inr file, at any size, without the run that made it.

    \b
      inrkit render new/0000.inr --size 512x512
      inrkit render photo.inr --size 640x480 -o large.png
    """
    from inrkit.engine.model import render as render_inr
    from inrkit.engine.precision import choose_device
    from inrkit.engine.resolve import find_modality
    from inrkit.io.config import structure
    from inrkit.io.inrfile import load_inr

    inr = load_inr(file)
    cls = find_modality(inr.modality)
    modality = cls(structure(cls.Options, inr.modality_options, origin=str(file)))
    request = {} if size is None else {"size": size}
    values = render_inr(inr, request, device=str(choose_device(device)))
    written = modality.write(values, out or file.with_name(f"{file.stem}-{size or 'render'}.png"))
    say(str(written))
