"""What a run shows of itself: a sheet of samples now and then, and the report."""

import math
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from PIL import Image

import inrkit
from inrkit.config.phases import schedule_phases, signals_seen
from inrkit.config.toml import to_toml, unstructure
from inrkit.core.modality import Source
from inrkit.core.resolution import shown_sizes
from inrkit.drawing.page import Charts, Link, Listing, Report, Rows, Section, Table, save_report
from inrkit.drawing.sheet import first_row, save_png, sheet
from inrkit.errors import DataError, UsageError
from inrkit.evaluation.generation import Way
from inrkit.inference.evaluated import read_evaluation
from inrkit.inference.model import Model
from inrkit.inference.picture import shown_of
from inrkit.inference.signalset import SignalSet, source_of
from inrkit.inference.times import searched
from inrkit.report import gallery
from inrkit.report.history import STEPS, History
from inrkit.report.tables import evaluation_blocks, evaluation_sentence
from inrkit.storage.fileerror import disk_errors
from inrkit.storage.rundir import STOPPED

GALLERY = "gallery.html"
"""In a run directory: the page of `inrkit export RUN html`."""
SHEET = 32
"""Signals on each sheet of samples."""


def write_samples(model: Model, run_dir: Path, step: int, n: int = SHEET) -> Path:
    """Samples as the run makes them, always from the same noise, so that sheets show the same signals emerge.

    Law: leaves every global random state as it was.
    """
    pictures = shown_of(model, model.sample(n, seed=0))
    folder = Path(run_dir) / "samples"
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return save_png(sheet(pictures), folder / f"step-{step:08d}.png")


def write_report(model: Model, run_dir: Path) -> Path:
    """`report.html`: what the run learned, for whoever has five minutes. It can be written anew at any time."""
    run_dir = Path(run_dir)
    history, evaluation, training = History.read(run_dir), read_evaluation(run_dir), source_of(model, "train")
    what = training.facts.get("title") or (Path(model.config.data).stem if model.config.data else model.modality.name)
    report = Report(
        title=str(what)[:1].upper() + str(what)[1:],
        subtitle=_subtitle(model, run_dir, training),
        numbers=_numbers(model, len(training), history, evaluation),
        sections=[
            _generated(model),
            *_encoded(model),
            Section("Training", [Charts(charts)] if (charts := history.charts()) else []),
            Section("Samples over training", samples_over_time(run_dir), "From the same noise at every step."),
            *_steps_and_ways(model, history),
            *_in_the_browser(run_dir),
            Section("Evaluation", evaluation_blocks(evaluation, run_dir), evaluation_sentence(evaluation)),
            Section("Config", [Listing(to_toml(unstructure(model.config)))], folded=True),
            Section("Environment", [Table(("", ""), _environment(model))], folded=True),
        ],
    )
    if not run_dir.is_dir():  # of an installed model
        with disk_errors(run_dir):
            run_dir.mkdir(parents=True, exist_ok=True)
    return save_report(report, run_dir / "report.html")


def _encoded(model: Model) -> list[Section]:
    """Held-out signals as their INRs show them; nothing when the data have none."""
    try:
        source = source_of(model, "test")
    except (DataError, UsageError):
        return []
    signals = SignalSet(model, source, range(len(source)))
    if not len(signals):
        return []
    encoded = "Held-out signals and their reconstructions: one forward pass encodes each of them as an INR."
    larger = (
        "One encoded INR, rendered at resolutions that it was not trained at. "
        "For comparison, its smallest render is enlarged by interpolation."
    )
    between = gallery.params_between(signals[:4]) if len(signals) >= 4 else []
    return [
        Section("Encoded", gallery.encodes(signals[:10]), encoded),
        Section("Any resolution", gallery.zoom(signals[:1]), larger),
        Section("Interpolation of encodings", between, "Between two encodings, linearly in the params of their INRs."),
    ]


def _steps_and_ways(model: Model, history: History) -> list[Section]:
    """What only a consistency function can show."""
    if not model.sampler.few_steps:
        return []
    times = model.times(2)
    two_steps, between = gallery.samples(model, 24, times), gallery.samples_between(model)
    way = f"From the same noise as the samples in one step, by way of noise level {times[-1]:.3g}."
    one, two = (history.last(f"{STEPS}{steps}") for steps in ("one", "two"))
    if one is not None and two is not None and two >= one and searched(model.run, model.step) is None:
        way += (
            f" Two steps are no better than one here: by way of the best level that was tried when training ended, "
            f"their distance from training signals is {two:.3g}, and {one:.3g} in one step."
        )
    lead = "Between two samples, spherically in the noise that they start from."
    return [
        Section("Interpolation of samples", between, lead),
        Section("Generated in two steps", two_steps, way),
    ]


def _in_the_browser(run_dir: Path) -> list[Section]:
    """A link to the page that `inrkit export RUN html` writes."""
    if not (run_dir / GALLERY).is_file():
        return []
    text = "evaluates samples and encoded signals on your graphics card: zoom in, turn them, go from one to another."
    return [Section("In the browser", [Link(GALLERY, text)])]


def _generated(model: Model) -> Section:
    """Samples as the run makes them."""
    times = model.times()
    title, lead = "Generated in one step", "one forward pass of the hyper-network maps noise to the params of an INR"
    if len(times) > 1:
        title, passes = f"Generated in {len(times)} steps", model.sampler.passes(len(times))
        lead = f"each follows the probability-flow ODE of the diffusion model, in {passes} network evaluations"
    return Section(title, gallery.samples(model, 48, times), f"Uncurated: {lead}.")


def samples_over_time(run_dir: Path, most: int = 8) -> list[Rows]:
    """The first row of some of the run's sheets, early ones denser than late ones."""
    sheets = sorted((run_dir / "samples").glob("step-*.png"))
    kept = sorted({round((len(sheets) - 1) * (i / (most - 1)) ** 1.5) for i in range(most)}) if sheets else []
    rows = []
    for i in kept:
        with Image.open(sheets[i]) as opened:
            row = first_row(opened.convert("RGB"), SHEET)
        rows.append((f"step {int(sheets[i].stem.removeprefix('step-')):,}", row))
    return [Rows(rows)] if rows else []


def _environment(model: Model) -> list[tuple[str, str]]:
    """Versions and kinds, nothing that names a machine."""
    return [
        ("inrkit", inrkit.__version__),
        ("Python", platform.python_version()),
        ("PyTorch", str(torch.__version__)),
        ("system", f"{platform.system()} {platform.machine()}"),
        ("device of this report", model.device.type),
    ]


def _subtitle(model: Model, run_dir: Path, source: Source) -> str:
    """What was learned from what, how, and for how long."""
    config, sizes = model.config, shown_sizes(source.facts, model.modality.options)
    counted = source.facts.get("counted") or f"{len(source):,} signals"
    if model.stand_in is not None:
        counted += f" of {Path(model.stand_in).name}, which stand for the run's own,"
    return (
        f"Modality {config.modality}: {counted} to learn from{f', {sizes}' if sizes else ''}. "
        f"Objective {config.objective}, {config.readout} read-out, after {model.step:,} of {config.steps:,} steps"
        f"{', stopped early' if (run_dir / STOPPED).is_file() else ''}."
    )


def _numbers(model: Model, signals: int, history: History, evaluation: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    if evaluation.get("step") != model.step:
        evaluation = {}  # its figures are another checkpoint's
    psnr = evaluation.get("reconstruction", {}).get("psnr", {}).get("mean", history.last("heldout/psnr"))
    weights = sum(p.numel() for p in model.pipeline.parameters())
    params = sum(math.prod(shape) for shape in model.pipeline.function.param_shapes.values())
    numbers = {
        "Reconstruction PSNR": ("" if psnr is None else f"{psnr:.1f}", "dB"),
        "Parameters": (f"{weights / 1e6:.2f}" if weights < 1e7 else f"{weights / 1e6:.0f}", "M"),
        "Params per INR": (f"{params:,}", ""),
        "Training signals": (f"{signals:,}", ""),
        "Signals seen": (f"{signals_seen(schedule_phases(model.config), model.step):,}", ""),
        "Time": duration(history.seconds()),
    }
    sets = evaluation.get("sets", {}).get("spaces", {}).get("random-filters", {}).get(Way(model.times()).name, {})
    if "frechet_ratio" in sets:
        numbers["Fréchet / real signals"] = (f"{sets['frechet_ratio']:.1f}", "")
    return {label: value for label, value in numbers.items() if value[0]}


def duration(seconds: float) -> tuple[str, str]:
    """A time and its unit, as a page shows it."""
    if seconds <= 0:
        return "", ""
    if seconds < 90:
        return f"{seconds:.0f}", "s"
    return (f"{seconds / 60:.1f}", "min") if seconds < 5400 else (f"{seconds / 3600:.1f}", "h")
