"""``inrkit export``."""

from pathlib import Path
from typing import Any

import click

from inrkit.cli import complete, option, remembered
from inrkit.cli.help import command
from inrkit.cli.output import bar, say
from inrkit.config.toml import parse_options
from inrkit.errors import UsageError


@command()
@option.file_or_run
@click.argument("what", metavar="FORMAT", shell_complete=complete.names("exporter"), callback=option.known("exporter"))
@option.keys("--set", "sets", "Set an option of the format; may be repeated.")
@option.row
@option.out("[default: beside FILE.inr, with its name; in RUN]", dir_okay=False)
def export(file: Path, what: str, sets: tuple[str, ...], row: int | None, out: Path | None) -> None:
    """Export an .inr file, or what a trained run has to show, to a format that other programs read.

    \b
      inrkit export new/0000.inr mesh -o car.glb --set faces=5000
      inrkit export new/0000.inr mesh --set cells=160 --set level=20
      inrkit export photo.inr html -o photo.html
      inrkit export faces html -o gallery.html
      inrkit export faces onnx -o encoder.onnx
      inrkit export new/0000.inr weights

    \b
      mesh      triangle mesh of the surface: .ply, .glb or .obj with colours, or .stl; and a picture of it.
                --set cells=96: resolution along the longest side; --set level=L: iso-value of the surface;
                --set faces=5000: simplified to at most so many triangles
      html      one self-contained page that evaluates the INR in the browser (WebGL2): zoom into a picture without end,
                turn an object, hear a sound at any speed. --set exact=true: all numbers in 32 bits, twice the size.
                Of a run: samples and encoded held-out signals, and what lies between; --set count=8 of each
      glsl      the INR as a function in GLSL ES 3.00; its numbers, a texture, in FILE.glsl.f32
      onnx      the INR for ONNX Runtime: coordinates (points, axes) in, outputs out; with the extra 'onnx'.
                --set params=true: params are inputs too, for any number of signals.
                Of a run: the encoder, from values to params, and beside it the function of coordinates and params
      pt2       the same for torch.export.load, in Python without inrkit
      weights   the params of the INR as .safetensors

    Plugins may offer more formats: see 'inrkit plugins list'. 'inrkit render' makes pictures and videos.
    """
    remembered.check_options("exporter", what, sets)
    from inrkit.cli.files import made_folder
    from inrkit.inference.export import Exporter
    from inrkit.inference.export import export as export_what
    from inrkit.inference.model import Model
    from inrkit.plugins import load_plugins

    exporter = load_plugins().exporter(what)
    options: Any = parse_options(exporter.Options, sets, origin="--set")
    if file.is_file() or file.suffix == ".inr":
        target = out or file.with_name(f"{file.stem}{'' if row is None else f'-{row}'}{exporter.suffix}")
        for path in export_what(file, exporter(), options, target, row=row):
            say(str(path))
        return
    if row is not None:
        raise UsageError(f"{file}: '--row' is for an .inr file of several signals")
    model = Model.load(file)
    with bar("exporting"):
        target = out or model.run / f"{exporter.of_run}{exporter.suffix}"
        if out is None and exporter.run_model is not Exporter.run_model:  # the others refuse, and leave nothing
            made_folder(target.parent)
        written = export_what(model, exporter(), options, target)
    for path in written:
        say(str(path))
