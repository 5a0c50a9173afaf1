"""``inrkit train``."""

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from inrkit.cli import complete, option
from inrkit.cli.forecast import say_forecast
from inrkit.cli.help import command
from inrkit.cli.output import bar, say, say_json
from inrkit.cli.traincheck import check_flags, check_names, modality_of, resolution, sized
from inrkit.config.toml import to_toml, unstructure

if TYPE_CHECKING:
    from inrkit.config.resolve import Resolved


@command()
@click.option(
    "--modality",
    metavar="NAME",
    shell_complete=complete.names("modality"),
    help="Modality (kind of signal), listed by 'inrkit plugins list'. [default: that of --data, or image]",
)
@click.option(
    "--preset",
    metavar="NAME",
    shell_complete=complete.presets,
    help="Named set of config values, listed by 'inrkit presets'. [default: the modality's first]",
)
@click.option(
    "--size",
    "sizes",
    metavar="NAME|WxH",
    multiple=True,
    help="Size of the network (small, base, large or paper: width, depth, batch size, learning rate and steps follow), "
    "or resolution to train at, such as 64x64; twice for both. [default: the preset's, and that of the data]",
)
@click.option("--config", type=option.FILE, help="TOML file with config keys. [default: none]")
@option.keys("--set", "sets", "Set any config key, such as options.width=128; may be repeated.")
@option.data("Data set: a store, a folder or NAME://ADDRESS. [default: synthetic signals]")
@option.out("Run directory. [default: runs/MODALITY-PRESET]")
@click.option(
    "--objective",
    shell_complete=complete.names("objective"),
    metavar="NAME",
    help="Objective: inrct, ect, ict, ct, cm-func, cd, diffusion, reconstruction. [default: the preset's]",
)
@click.option(
    "--readout",
    metavar="NAME",
    help="Read-out, which turns the rendered INR into f: direct, two-headed or literal. [default: the preset's]",
)
@click.option("--seed", metavar="N", type=click.IntRange(min=0), help="Random seed. [default: 0]")
@click.option("--steps", metavar="N", type=int, help="Training steps. [default: the preset's]")
@click.option(
    "--minutes",
    metavar="N",
    type=float,
    help="Train for about this long instead of --steps; measured at the start. [default: by --steps]",
)
@click.option(
    "--batch-size", metavar="N", type=int, help="Batch size, summed over all processes. [default: the preset's]"
)
@click.option("--lr", metavar="X", type=float, help="Peak learning rate. [default: the preset's]")
@click.option("--device", metavar="NAME", help="Device: auto, cpu, cuda, mps, xpu, or cuda:N. [default: auto]")
@click.option(
    "--precision", metavar="NAME", help="Number format: fp32, bf16 (mixed precision) or auto. [default: auto]"
)
@click.option(
    "--from",
    "base",
    shell_complete=complete.runs,
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Fine-tune RUN, or an installed model: its weights, network, read-out and data, and its objective unless "
    "--objective is given. [default: from scratch]",
)
@click.option(
    "--init",
    metavar="RUN",
    shell_complete=complete.runs,
    type=click.Path(path_type=str),
    help="Run, or installed model, whose weights initialise the model. [default: none]",
)
@click.option(
    "--tracker",
    "trackers",
    multiple=True,
    metavar="NAME",
    shell_complete=complete.names("tracker"),
    help="Experiment tracker: tensorboard, wandb, mlflow, trackio; repeatable.",
)
@click.option("--extend", is_flag=True, help="Resume the run in OUT with another number of steps.")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Say what the run would take here, by a few steps that are thrown away, and stop: parameters, operations "
    "(FLOPs) and seconds a step, memory, disk, hours in all. Nothing is written.",
)
@option.table
@option.as_json
@click.option("--print-config", is_flag=True, help="Print the complete config as TOML, and stop.")
@click.option(
    "--print-schema",
    is_flag=True,
    help="Print a JSON Schema of the config, with which editors complete and check TOML files, and stop.",
)
@click.option("--no-progress", is_flag=True, help="Show no progress on stderr.")
def train(
    modality: str | None,
    preset: str | None,
    sizes: Sequence[str],
    config: Path | None,
    sets: tuple[str, ...],
    out: Path | None,
    trackers: tuple[str, ...],
    base: Path | None,
    minutes: float | None,
    extend: bool,
    dry_run: bool,
    as_json: bool,
    print_config: bool,
    print_schema: bool,
    no_progress: bool,
    **flags: Any,
) -> None:
    """Train a hyper-network, or resume a run.

    \b
      inrkit train --out runs/first                       synthetic signals, no download
      inrkit train --data photos --out runs/photos        a folder of pictures, imported into a store beside it
      inrkit train --size base --minutes 60               a larger network, as many steps as fit
      inrkit train --data photos.h5 --steps 20000 --set options.width=384
      inrkit train --data photos.h5 --dry-run             how long will it take here?
      inrkit train --preset cifar10 --print-config > mine.toml
      inrkit train --from runs/first --data mine.h5       fine-tune on other data; also --from faces, an installed model
      torchrun --nproc-per-node 2 -m inrkit train --out runs/two

    Ctrl-C saves a checkpoint and stops; the same command resumes from it, with bit-identical results. Config values
    come from the preset, then --config, then the flags, then --set; the later ones win. The run directory holds the
    config, metrics, checkpoints, sheets of samples and a report.
    """
    check_flags(minutes, flags["steps"], as_json=as_json and not dry_run)
    network, cells = sized(sizes)
    flags |= {"trackers": trackers or None, "network": network, "init": flags["init"] or (base and str(base))}
    given = {key: value for key, value in flags.items() if value is not None}
    with bar("starting") if not no_progress else contextlib.nullcontext():
        check_names(given, modality, preset, config, sets, fresh=base is None)
        from inrkit.machine.precision import choose_device
        from inrkit.machine.signals import process_setup

    with process_setup():
        resolved = _resolved(modality, preset, config, sets, cells, given, base)
        choose_device(resolved.config.device)  # refused before anything is computed
        if print_schema or print_config:
            _say_config(resolved, as_schema=print_schema)
            return
        if dry_run:
            say_forecast(resolved, minutes, as_json=as_json)
            return
        from inrkit.training.run import train as train_run

        model = train_run(resolved, out, minutes=minutes, progress=False if no_progress else None, extend=extend)
        _say_trained(model)


def _resolved(
    modality: str | None,
    preset: str | None,
    file: Path | None,
    sets: Sequence[str],
    cells: str | None,
    given: Mapping[str, Any],
    base: Path | None,
) -> "Resolved":
    """The complete config; the modality is that of the run that is fine-tuned, or of the data, unless it was named."""
    from inrkit.config.resolve import resolve
    from inrkit.storage.named import find_run
    from inrkit.storage.rundir import read_config

    theirs = None if base is None else read_config(find_run(base)[0])
    modality = modality or (modality_of(file, given.get("data")) if theirs is None else theirs.modality)
    return resolve(modality, preset, file, (*resolution(cells, modality), *sets), given, theirs)


def _say_trained(model: Any) -> None:
    skipped = f", {model.skipped} steps of which were skipped" if model.skipped else ""
    say(f"{model.run}: trained to step {model.step}{skipped}; see {model.run / 'report.html'}")


def _say_config(resolved: Any, *, as_schema: bool) -> None:
    from inrkit.config.jsonschema import config_schema

    if as_schema:
        say_json(config_schema(resolved))
    else:
        say(to_toml(unstructure(resolved.config)).rstrip("\n"))
