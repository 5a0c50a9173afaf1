"""``inrkit`` itself: its commands, its global flags, and how it ends."""

import os
import sys
from collections.abc import Sequence
from typing import Any

import click

import inrkit
from inrkit.cli.failure import in_the_midst, report
from inrkit.cli.lazy import LazyGroup
from inrkit.errors import UsageError, did_you_mean
from inrkit.plugins import VARIABLE, load_plugins
from inrkit.plugins.loading import left_running

COMMANDS = {
    "train": ("inrkit.cli.train:train", "Train a hyper-network, or resume a run."),
    "sample": ("inrkit.cli.sample:sample", "Generate new signals with a trained run."),
    "encode": ("inrkit.cli.encode:encode", "Encode files as INRs with a trained run."),
    "render": ("inrkit.cli.render:render", "Render an .inr file at any resolution, or from any viewpoint."),
    "edit": ("inrkit.cli.edit:edit", "Inpaint, super-resolve, colorize, denoise or interpolate signals."),
    "export": ("inrkit.cli.export:export", "Export an .inr file as a mesh or as plain weights."),
    "evaluate": ("inrkit.cli.evaluate:evaluate", "Measure how well a run encodes and generates."),
    "report": ("inrkit.cli.report:report", "Write a run's report anew, or follow a run while it trains."),
    "compare": ("inrkit.cli.compare:compare", "Compare runs and configs in one table."),
    "data": ("inrkit.cli.data:data", "Import, describe and verify data sets."),
    "models": ("inrkit.cli.models:models", "List trained models by name; save or share one."),
    "presets": ("inrkit.cli.presets:presets", "List the presets of each modality: what they are, and how large."),
    "plugins": ("inrkit.cli.plugins:plugins", "List, check and create plugins."),
    "doctor": ("inrkit.cli.doctor:doctor", "Examine this machine and this installation."),
    "completion": ("inrkit.cli.completion:completion", "Print the script that completes commands in a shell."),
}

_ALSO_CALLED = {
    "sample": ("generate",),
    "encode": ("reconstruct",),
    "train": ("fit", "resume", "finetune"),
    "render": ("decode", "view", "show"),
    "edit": ("inpaint", "interpolate"),
    "export": ("convert",),
    "evaluate": ("eval", "test"),
    "compare": ("benchmark",),
    "data": ("import", "dataset"),
    "doctor": ("info",),
}
"""What other programs call our commands."""


class Root(LazyGroup):
    """The group that turns every failure into one line and an exit code, and knows the commands of plugins."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *load_plugins().commands]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name in self.lazy:  # found without any plugin
            return super().get_command(ctx, name)
        registry = load_plugins()
        if name in registry.commands or any(name in broken.names for broken in registry.broken):
            command: click.Command = registry.command(name)
            return command
        ours = next((ours for ours, others in _ALSO_CALLED.items() if name in others), None)
        known = self.list_commands(ctx)
        meant = f" Did you mean '{ours}'?" if ours else did_you_mean(name, known)
        raise UsageError(f"no command named '{name}'; there are {', '.join(known)}.{meant}")

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_commands(ctx, formatter)
        if rows := [(name, f"{entry.summary} ({entry.plugin})") for name, entry in load_plugins().commands.items()]:
            with formatter.section("Commands of plugins"):
                formatter.write_dl(rows)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """As a program of its own, which ends although a plugin left a thread running."""
        try:
            return super().__call__(*args, **kwargs)
        except SystemExit as end:
            if any(thread.is_alive() for thread in left_running):
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(end.code if isinstance(end.code, int) else 1)
            raise

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = "inrkit",
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, standalone_mode, **extra)
        stdout = sys.stdout
        try:
            code = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        except BaseException as error:
            if isinstance(error, SystemExit) and sys.stdout is not stdout:
                sys.exit(0)  # click replaced it since whoever reads it has seen enough
            if isinstance(error, SystemExit) and not in_the_midst(error):
                raise
            sys.exit(report(error, sys.argv[1:] if args is None else args))
        sys.exit(code if isinstance(code, int) else 0)


def _choose(ctx: click.Context, option: click.Parameter, names: str | None) -> None:
    """Says which plugins load before a command is looked for; also to workers and other processes of ours."""
    if names is not None:
        _set(ctx, VARIABLE, names)


def _set(ctx: click.Context, variable: str, value: str) -> None:
    """An environment variable, for as long as the command runs."""
    before = os.environ.get(variable)
    os.environ[variable] = value
    ctx.call_on_close(lambda: os.environ.pop(variable) if before is None else os.environ.update({variable: before}))


_WAITING = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "3000"}
"""How threads wait for each other: they spin for microseconds, which costs a quiet machine nothing, and then sleep, for
where other programs use the cores, those that spin on make all of them slow."""


@click.group(
    "inrkit",
    cls=Root,
    lazy=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--plugins",
    metavar="NAMES",
    is_eager=True,
    expose_value=False,
    callback=_choose,
    help="Load only these plugins, separated by commas; '' for none.",
)
@click.version_option(inrkit.__version__, prog_name="inrkit")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Encode, generate and edit signals as implicit neural representations (INRs).

    \b
      inrkit train --modality image --out runs/faces     train on synthetic images, no download
      inrkit sample runs/faces -n 16 -o new              16 samples: .inr files, pictures, a contact sheet
      inrkit render new/0000.inr --size 512x512          render one of them at any resolution

    One hyper-network is trained once by consistency training. It then maps a signal, or noise, to the weights of an
    INR: a small network that takes coordinates and returns values.

    Results go to stdout or to the named file, progress to stderr. Exit codes: 0 success, 1 a bug in inrkit, 2 wrong
    usage or config, 3 bad data or checkpoint, 4 a plugin, 5 training diverged, 6 disk, memory or device, 130 or 143
    stopped by a signal.
    """
    if not any(variable in os.environ for variable in _WAITING):
        for variable, value in _WAITING.items():
            _set(ctx, variable, value)
