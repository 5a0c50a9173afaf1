"""``inrkit train``."""

from pathlib import Path
from typing import Any

import click

from inrkit.cli.output import say
from inrkit.config.toml import read_toml, to_toml, unstructure


@click.command()
@click.option("--modality", metavar="NAME", help="Kind of signal; 'inrkit plugins list' shows them. [default: image]")
@click.option("--preset", metavar="NAME", help="Start from these values; by default the modality's first preset.")
@click.option("--config", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="TOML with any key.")
@click.option(
    "--set", "sets", multiple=True, metavar="KEY=VALUE", help="Any key, such as options.width=128; repeatable."
)
@click.option("--data", type=click.Path(path_type=str), help="A store; by default the embedded signals.")
@click.option("--out", type=click.Path(path_type=Path), help="The run directory. [default: runs/MODALITY-PRESET]")
@click.option("--objective", metavar="NAME", help="inrct, ect, ict, ct, cm-func, cd, diffusion or reconstruction.")
@click.option("--readout", metavar="NAME", help="How the INR is read: direct, two-headed or literal.")
@click.option("--seed", type=int, help="Decides weights, order and noise.")
@click.option("--steps", type=int, help="Training steps.")
@click.option("--batch-size", type=int, help="Signals in a step, over all processes.")
@click.option("--lr", type=float, help="Learning rate at its highest.")
@click.option("--device", metavar="NAME", help="auto, cpu, cuda or cuda:N.")
@click.option("--precision", metavar="NAME", help="auto, fp32 or bf16.")
@click.option("--init", type=click.Path(path_type=str), help="A run to take the first weights from.")
@click.option("--extend", is_flag=True, help="Let a run in OUT go on to another number of steps.")
@click.option("--dry-run", is_flag=True, help="Print the resolved config and the number of parameters; train nothing.")
@click.option("--no-progress", is_flag=True, help="No progress on stderr.")
def train(
    modality: str | None,
    preset: str | None,
    config: Path | None,
    sets: tuple[str, ...],
    out: Path | None,
    extend: bool,
    dry_run: bool,
    no_progress: bool,
    **flags: Any,
) -> None:
    """Train a hyper-network, or go on with a run.

    The same command again goes on where the run stopped, bit for bit; Ctrl-C stops after saving. Values come from the
    preset, then the file, then the flags, then --set. The run directory holds the config, metrics, checkpoints, sample
    sheets and a report.

    \b
      inrkit train --out runs/first                       embedded signals, no download
      inrkit train --data photos.h5 --steps 20000 --set options.width=384
      inrkit train --preset cifar10 --dry-run > mine.toml
      torchrun --nproc-per-node 2 -m inrkit train --out runs/two
    """
    from inrkit.config.resolve import resolve

    if modality is None:
        modality = "image" if config is None else read_toml(config).get("modality", "image")
    given = {key: value for key, value in flags.items() if value is not None}
    resolved = resolve(modality, preset, config, sets, given)
    if dry_run:
        say(_plan(resolved))
        return
    out = out or Path("runs") / "-".join(filter(None, (resolved.modality, resolved.preset)))
    _run(resolved, out, progress=not no_progress, extend=extend)


def _plan(config: Any) -> str:
    """The config as TOML that ``--config`` reads, below the sizes of what would be trained."""
    from inrkit.config.resolve import modality_of, readout_of

    pipeline = modality_of(config).build(readout_of(config))
    counts = {
        part: sum(parameter.numel() for parameter in getattr(pipeline, part).parameters())
        for part in ("denoiser", "function")
    }
    parts = ", ".join(f"{name} {count}" for name, count in counts.items())
    return f"# {sum(counts.values())} parameters: {parts}\n{to_toml(unstructure(config))}".rstrip("\n")


def _run(config: Any, out: Path, *, progress: bool, extend: bool) -> None:
    from inrkit.training.run import train as train_run

    model = train_run(config, out, progress=None if progress else False, extend=extend)
    say(f"{out}: trained to step {model.step}; see {out / 'report.html'}")
