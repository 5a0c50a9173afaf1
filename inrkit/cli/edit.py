"""``inrkit edit``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from inrkit.cli import option
from inrkit.cli.help import command
from inrkit.cli.output import bar, note, say
from inrkit.cli.table import Table, say_result
from inrkit.core.resolution import shown_size
from inrkit.errors import UsageError

if TYPE_CHECKING:
    from inrkit.core.edit.operator import Operator
    from inrkit.core.edit.task import Edit
    from inrkit.core.observation import Observation
    from inrkit.drawing.layout import Layout
    from inrkit.inference.edit import Written
    from inrkit.inference.model import Model
    from inrkit.inference.plan import Plan

TASKS: Mapping[str, frozenset[str]] = {
    "inpaint": frozenset({"mask", "box", "text", "invert", "passes"}),
    "superres": frozenset({"factor", "passes"}),
    "colorize": frozenset({"passes"}),
    "deblur": frozenset({"blur", "radius", "angle", "passes"}),
    "denoise": frozenset({"level"}),
    "stroke": frozenset({"level", "passes"}),
    "interpolate": frozenset({"level"}),
}
"""Each task with the options that mean something to it."""
_ALSO_CALLED = {
    **dict.fromkeys(("upscale", "upsample", "enlarge", "sr"), "superres"),
    **dict.fromkeys(("fill", "outpaint", "complete"), "inpaint"),
    **dict.fromkeys(("sharpen", "unblur", "deconvolve"), "deblur"),
    **dict.fromkeys(("morph", "blend", "mix"), "interpolate"),
    "sdedit": "stroke",
}
"""What other programs call our tasks."""
_FIGURES = {"filled": "filled in", "level": "noise", "kept": "error of the known", "inr_psnr": "PSNR of its INR, dB"}
_BETWEEN, _STROKE = 9, 1.0


@command()
@option.run
@option.inputs(required=False)
@click.option("--task", required=True, type=option.Choice(list(TASKS), _ALSO_CALLED), help="Kind of edit.")
@click.option(
    "--mask",
    type=option.FILE,
    help="inpaint: mask image as large as the INPUT, or of training's resolution: white where to inpaint, or painted "
    "on a transparent layer, or the INPUT with a part erased; or an .npy array that is not 0 there. [default: none]",
)
@click.option("--box", metavar="X,Y,W,H", help="inpaint: fill this box, in pixels of the INPUT. [default: none]")
@click.option("--text", metavar="LETTERS", help="inpaint: fill the shape of these letters. [default: none]")
@click.option("--invert", is_flag=True, help="inpaint: invert the mask.")
@click.option("--factor", type=int, metavar="N", help="superres: how many times larger each axis becomes. [default: 2]")
@click.option(
    "--blur",
    type=option.Choice(["gaussian", "motion", "box"]),
    help="deblur: kind of blur. motion: along a line; box: the mean of a square. [default: gaussian]",
)
@click.option(
    "--radius",
    type=float,
    metavar="R",
    help="deblur: standard deviation of the blur, or how far the line or the square reaches, in pixels of the INPUT. "
    "[default: 2]",
)
@click.option("--angle", type=float, metavar="DEGREES", help="deblur: of the line of motion. [default: 0, horizontal]")
@click.option(
    "--level",
    type=float,
    metavar="T",
    help="Noise standard deviation, for values in [-1, 1]. denoise: of the INPUT [default: estimated]; stroke: that is "
    "added [default: 1]; interpolate: interpolate noisy signals at this level instead of INR params [default: params].",
)
@click.option(
    "--passes",
    metavar="N",
    type=option.COUNT,
    help="Network evaluations. [default: 4 for stroke; 20 for inpaint, superres, colorize, deblur]",
)
@click.option(
    "-n",
    "count",
    metavar="N",
    type=option.COUNT,
    help="Results for each INPUT [default: 1]; interpolate: signals, both ends included [default: 9].",
)
@option.label("Class label of the results by number or name; several are used in turn. [default: none]")
@option.seed("Random seed; equal seeds give equal results.")
@option.device()
@option.out("A folder, or FILE.png. [default: RUN/edited]")
@option.layout(rows=True)
@option.table
@option.as_json
def edit(
    run: Path,
    inputs: tuple[Path, ...],
    task: str,
    count: int | None,
    label: list[str] | None,
    seed: int,
    device: str,
    out: Path | None,
    as_json: bool,
    layout: "Layout",
    **given: Any,
) -> None:
    """Edit signals with a trained run (zero-shot: no training for the edit).

    \b
      inrkit edit runs/first face.png --task inpaint --box 8,8,16,10 -n 4 -o filled
      inrkit edit runs/first small.png --task superres --factor 4 -o large.png
      inrkit edit runs/first face.png --task colorize -n 6 --rows known,edited --sheet figure.svg
      inrkit edit runs/first a.png b.png --task interpolate --level 0.5

    \b
      inpaint      fill in a --mask, --box or --text; preserves the known pixels
      superres     super-resolution by --factor; preserves the input as means of patches
      colorize     add colour to a grey picture; preserves the luma
      deblur       undo a --blur of --radius; preserves the input as the blurred result
      denoise      remove Gaussian noise of standard deviation --level (estimated by default)
      stroke       turn a rough drawing into a signal (SDEdit); a larger --level changes more
      interpolate  interpolate between two INPUTs; without any, between the noise of two samples

    Results are as large as the INPUT: what is known comes from it, the rest is rendered from the INR at that size. The
    model works at the resolution of training, on the centre of an INPUT of another shape: inpaint leaves what is
    around it as it is, the other tasks return the centre.

    Writes to OUT for each result: NAME.npy, the exact values (float32 in [-1, 1]), in which what is preserved agrees
    with the INPUT to 1e-5 (deblur: to about the error of 8 bits); NAME.png, rounded to 8 bits; NAME.inr, an encoding of
    it, which comes close but is not exact; of a sound also NAME-edited.wav. sheet.png shows the signals before and
    after, at the resolution of training, with what is filled in marked.
    """
    _check(task, count, given, len(inputs))
    with bar("loading the model"):
        from inrkit.config.resolve import Resolved
        from inrkit.inference.model import Model
        from inrkit.inference.plan import plan_edit
        from inrkit.storage.named import find_run
        from inrkit.storage.rundir import read_config

        # What needs no weights is checked before they are read.
        plan = plan_edit(Resolved.of(read_config(find_run(run)[0])).modality, task, inputs, given)
        model = Model.load(run, device=device)
    folder = out or model.run / "edited"
    written, levels, sheets = _edited(model, inputs, task, count, label, seed, folder, plan, layout, given)
    if not as_json:
        for result, level in zip(written, levels, strict=True):
            say(f"{result.picture}  {_about(result, level, plan.marked)}")
        say(f"before and after: {' and '.join(map(str, sheets))}")
    facts = [{**result._asdict(), "level": level} for result, level in zip(written, levels, strict=True)]
    rows = [[row["picture"], shown_size(row["size"]), *(row[key] for key in _FIGURES)] for row in facts]
    say_result(facts, [Table(["picture", "size", *_FIGURES.values()], rows)], as_json=as_json, said=True)


def _about(result: "Written", level: float | None, marked: str) -> str:
    """How large a result is, and what is known of it."""
    parts = [shown_size(result.size)]
    if result.filled is not None:
        parts.append(f"{result.filled:.1%} filled in{f' ({marked} in the mask)' if marked else ''}")
    if level is not None:
        parts.append(f"noise of standard deviation {level:.3f}, estimated")
    if result.kept is not None:
        how = f"to {result.kept:.1e}" if result.kept else "exactly"
        parts.append(f"known part preserved {how} in {result.values.name}")
    if result.inr_psnr is not None:
        parts.append(f"PSNR of its INR {result.inr_psnr:.2f} dB")
    return ", ".join(parts)


def _edited(
    model: "Model",
    inputs: Sequence[Path],
    task: str,
    count: int | None,
    label: Sequence[str] | None,
    seed: int,
    out: Path,
    plan: "Plan",
    layout: "Layout",
    given: Mapping[str, Any],
) -> tuple[list["Written"], list[float | None], list[Path]]:
    """What was written for each result, the levels of noise that were estimated, and the files of the sheet."""
    from inrkit.cli.files import made_folder
    from inrkit.core.edit.task import noise_level
    from inrkit.inference.edit import repeated, save_edits, save_sheet
    from inrkit.inference.given import require_set

    require_set(model.modality, model.pipeline, (count or 1) * max(1, len(inputs)), model.device)
    support, names = _observed(model, inputs, plan) if inputs else (None, [])
    if task == "interpolate":
        if inputs and len(names) != 2:
            raise UsageError(f"'interpolate' needs two inputs (got {len(names)})")
        shown, labels = None, ["between"] * (count or _BETWEEN)
        targets = [plan.targets[0]] * len(labels)
    else:
        assert support is not None
        shown = repeated(support, count or 1)
        labels = [name for name in names for _ in range(count or 1)]
        targets = [target for target in plan.targets for _ in range(count or 1)]
    layout.picked(len(labels))
    layout.chosen_rows(dict.fromkeys(("input", "known", "edited", "its INR")))
    files, sheet = _targets(inputs, labels, out)
    if shown is None:
        edited = model.interpolate(support, len(labels), given["level"], seed, label)
    else:
        with bar("editing") as progress:
            edited = model.edit(shown, _task(task, plan.operator, given), seed, label, progress=progress)
    made_folder(sheet.parent)
    options = {key: str(value) if isinstance(value, Path) else value for key, value in given.items() if value}
    options |= {} if label is None else {"label": label}
    origins = [{"kind": "edit", "task": task, "source": Path(name).name, "seed": seed, **options} for name in labels]
    written = save_edits(model, edited, targets, files, origins)
    results = list(zip(targets, written, strict=True))
    sheets = save_sheet(model, shown, edited, results, plan.operator, sheet, layout)
    levels: list[float | None] = [None] * len(labels)
    if task == "denoise" and given["level"] is None and shown is not None:
        levels = noise_level(shown.values).tolist()
    return written, levels, sheets


def _observed(model: "Model", inputs: Sequence[Path], plan: "Plan") -> tuple["Observation", Sequence[str]]:
    """What the model sees of the files, which is said where it is not the whole, and their names."""
    from inrkit.core.edit.operator import PatchMeans
    from inrkit.inference.edit import with_coarse
    from inrkit.inference.given import fittings

    signals, names = model.modality.display.read(inputs)
    for line in fittings(model.modality, signals, names):
        note(line)
    support = model.observe(signals).support
    if plan.coarse and isinstance(plan.operator, PatchMeans):
        support = with_coarse(support, [target.original for target in plan.targets], plan.operator)
    if plan.measured and plan.operator is not None:
        support = support.with_values(plan.operator.pseudo_inverse(support.values))
    return support, names


def _check(task: str, count: int | None, given: Mapping[str, Any], inputs: int) -> None:
    """Options that fit the task, before anything is loaded."""
    if not inputs and (task != "interpolate" or given["level"] is not None):
        what = "'--level', which adds noise to them," if task == "interpolate" else f"the task '{task}'"
        raise UsageError(f"{what} needs INPUTs, found none; only interpolating between samples goes without")
    for name, value in given.items():
        if value not in (None, False) and name not in TASKS[task]:
            fitting = ", ".join(other for other, names in TASKS.items() if name in names)
            raise UsageError(f"'--{name}' means nothing to the task '{task}'; it is for {fitting}")
    holes = [name for name in ("mask", "box", "text") if given[name] is not None]
    if task == "inpaint" and len(holes) != 1:
        found = " and ".join(f"'--{name}'" for name in holes) or "none"
        raise UsageError(f"'inpaint' needs one of '--mask', '--box' and '--text' (got {found})")
    if given["box"] is not None and not all(part.strip().isdecimal() for part in given["box"].split(",")):
        raise UsageError(
            f"'--box' is numbers, where the hole begins and how long it is, X,Y,W,H (got '{given['box']}')"
        )
    if task == "interpolate" and count == 1:
        raise UsageError("'interpolate' needs '-n' of at least 2, both ends among them (got 1)")
    level = given["level"]
    if level is not None and not 0 < level < float("inf"):
        raise UsageError(f"'--level' must be > 0 (got {level:g})")


def _task(task: str, operator: "Operator | None", given: Mapping[str, Any]) -> "Edit":
    from inrkit.core.edit.task import Denoise, Encode, Restore, Stroke, descending

    passes = given["passes"]
    if task == "denoise":
        return Denoise(given["level"])
    if task == "stroke":
        first = given["level"] or _STROKE
        return Stroke(descending(first, first / 16, passes or 4))
    if operator is None:
        return Encode()
    return Restore(operator) if passes is None else Restore(operator, descending(80.0, 0.05, passes))


def _targets(inputs: Sequence[Path], labels: Sequence[str], out: Path) -> tuple[list[Path], Path]:
    """The picture of each result, and the sheet, in one folder. Inputs are never replaced."""
    from inrkit.cli.files import is_file_name, names_for

    if is_file_name(out):
        if len(labels) != 1:
            raise UsageError(f"{out}: expected one result for one file, found {len(labels)}; give a folder instead")
        picture = out.with_suffix(".png") if out.suffix in (".inr", ".npy") else out
        files, sheet = [picture], out.with_name(f"{out.stem}-sheet.png")
    else:
        files, sheet = [out / f"{name}.png" for name in names_for(labels)], out / "sheet.png"
    taken = {path.resolve() for path in inputs}
    for path in (*files, sheet):
        if path.resolve() in taken:
            raise UsageError(f"{path}: the result would replace this input; choose another OUT")
    return files, sheet
