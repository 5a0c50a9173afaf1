"""``inrkit sample``."""

import math
from pathlib import Path

import click

from inrkit.cli.output import say
from inrkit.errors import UsageError

_FIRST, _LAST = 80.0, 0.821


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("-n", "count", type=click.IntRange(min=1), default=16, show_default=True, help="How many.")
@click.option(
    "--steps", type=click.IntRange(min=1), default=1, show_default=True, help="Passes of the network for each."
)
@click.option("--times", metavar="T,T,...", help="Noise levels instead of --steps, noisiest first, such as 80,0.821.")
@click.option("--seed", type=int, default=0, show_default=True, help="Equal seeds give equal samples.")
@click.option("--size", metavar="WxH", help="Size of the pictures; the .inr files have none. [default: as trained]")
@click.option("--label", type=int, metavar="K", help="Class, for a run that learned classes.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("-o", "--out", type=click.Path(file_okay=False, path_type=Path), help="[default: RUN/generated]")
def sample(
    run: Path,
    count: int,
    steps: int,
    times: str | None,
    seed: int,
    size: str | None,
    label: int | None,
    device: str,
    out: Path | None,
) -> None:
    """Generate new signals from a run.

    Leaves an .inr file and a picture of each in OUT, and all of them on sheet.png. More of the same seed begin with the
    same ones.

    \b
      inrkit sample runs/first -n 64 -o new
      inrkit sample runs/first --steps 2 --size 256x256
    """
    levels = times_of(steps) if times is None else parse_times(times)
    from inrkit.cli.files import made_folder, save_all, save_pictures, shown
    from inrkit.engine.model import Model
    from inrkit.io.sheet import save_png, sheet

    model = Model.load(run, device=device)
    if size is not None:
        model.modality.places({"size": size})  # a mistake in it shows before the work
    folder = made_folder(out or run / "generated")
    prediction = model.sample(count, seed=seed, times=levels, label=label)
    pictures = shown(model, prediction, size)
    origin = {"kind": "sample", "seed": seed, "times": list(levels)} | ({} if label is None else {"label": label})
    files = [folder / f"{i:04d}.inr" for i in range(count)]
    save_all(model, prediction, files, [{**origin, "number": i} for i in range(count)])
    save_pictures(pictures, [file.with_suffix(".png") for file in files])
    save_png(sheet(pictures), folder / "sheet.png")
    say(f"{folder}: {count} samples; see {folder / 'sheet.png'}")


def times_of(steps: int) -> tuple[float, ...]:
    """80 for one step, 80 and .821 for two (Easy Consistency Tuning), between them evenly on a log scale for more."""
    if steps == 1:
        return (_FIRST,)
    return tuple(_FIRST * (_LAST / _FIRST) ** (i / (steps - 1)) for i in range(steps))


def parse_times(text: str) -> tuple[float, ...]:
    """The numbers of "80,0.821"."""
    try:
        times = tuple(float(part) for part in text.split(","))
    except ValueError:
        times = ()
    if not times or not all(map(math.isfinite, times)):
        raise UsageError(f"'--times' must be numbers such as 80,0.821 (got '{text}')")
    return times
