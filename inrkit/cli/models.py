"""``inrkit models``: trained models by name, and how to make one of a run."""

from pathlib import Path
from typing import Any

import click

from inrkit.cli import option
from inrkit.cli.help import command
from inrkit.cli.lazy import LazyGroup
from inrkit.cli.output import bar, say, shown_bytes
from inrkit.cli.table import Table, say_result
from inrkit.errors import InrkitError, UsageError
from inrkit.plugins import load_plugins

COMMANDS = {
    "list": ("inrkit.cli.models:list_models", "List the trained models that plugins bring."),
    "save": ("inrkit.cli.models:save", "Save the model of a run as a folder to hand on."),
    "push": ("inrkit.cli.models:push", "Upload the model of a run to the Hugging Face hub."),
}

_DTYPE = click.option(
    "--dtype",
    metavar="NAME",
    type=option.Choice(["bf16", "fp32"]),
    default="bf16",
    show_default=True,
    help="Number format of the weights, bf16 or fp32; bf16 halves the size.",
)
_LICENSE = click.option(
    "--license", default="", metavar="SPDX", show_default="none", help="Licence of the weights, for the card."
)


@click.group(cls=LazyGroup, lazy=COMMANDS)
def models() -> None:
    """List trained models by name; save the model of a run, or share it.

    \b
      inrkit models list
      inrkit sample faces -n 16
      inrkit models save runs/first -o first
      inrkit encode first photo.png

    Wherever a command asks for a RUN, the name of a model does: 'inrkit sample faces'. So does the folder of a saved
    model, and hf://OWNER/NAME for one on the Hugging Face hub, which is then fetched (extra 'hub').
    """


@command("list")
@option.table
@option.as_json
def list_models(as_json: bool) -> None:
    """List the trained models that plugins bring, with their sizes.

    \b
      inrkit models list
      inrkit models list --json
      inrkit models list --table models.csv
    """
    rows = [_described(name) for name in load_plugins().models]
    cells = [[row["name"], row["modality"], row["size"] and shown_bytes(row["size"]), row["summary"]] for row in rows]
    none = "" if rows else "no plugin brings a model; see 'inrkit plugins list'"
    say_result(rows, [Table(["model", "modality", "size", "what it is"], cells, none)], as_json=as_json)


def _described(name: str) -> dict[str, Any]:
    """What the config and the size of the files tell, or why it cannot be used; the weights are not read."""
    from inrkit.storage.rundir import read_config

    registry = load_plugins()
    entry = registry.models[name]
    row = {"name": name, "modality": None, "size": None, "plugin": entry.plugin, "summary": entry.summary}
    try:
        folder = registry.model(name)
        size = sum(file.stat().st_size for file in folder.iterdir())
        return {**row, "modality": read_config(folder).modality, "size": size}
    except (InrkitError, OSError) as error:
        return {**row, "summary": f"cannot be used: {error}"}


@command()
@option.run
@_DTYPE
@_LICENSE
@click.option(
    "--data-terms",
    default="",
    metavar="TEXT",
    show_default="none",
    help="What it was trained on, and under which terms.",
)
@option.device("cpu")
@option.out("Folder for the model.", required=True, file_okay=False)
def save(run: Path, out: Path, dtype: Any, license: str, data_terms: str, device: str) -> None:
    """Save the model of RUN as a folder: config, averaged weights, a sheet of samples, and a card.

    \b
      inrkit models save runs/first -o first
      inrkit models save runs/first -o first --license Apache-2.0 --data-terms "photographs of mine"
      inrkit sample first -n 16

    The card (README.md) takes the figures that 'inrkit evaluate RUN' found. A manifest holds a hash of every file. Of
    the files that the run read, such as its data, only the names are kept. A model in OUT is replaced.
    """
    from inrkit.inference.model import Model

    with bar("saving"):
        made = Model.load(run, device=device).save(out, dtype, license=license, data_terms=data_terms)
    size = sum(file.stat().st_size for file in made.iterdir())
    say(f"{out}: {shown_bytes(size)}; see {out / 'README.md'}")


@command()
@option.run
@click.argument("address", metavar="OWNER/NAME")
@_DTYPE
@_LICENSE
@click.option("--public", is_flag=True, help="Let everybody see it; otherwise only you can.")
def push(run: Path, address: str, dtype: Any, license: str, public: bool) -> None:
    """Upload the model of RUN to the Hugging Face hub as OWNER/NAME, as 'inrkit models save' writes it.

    \b
      inrkit models push runs/first me/first
      inrkit models push runs/first me/first --public --license Apache-2.0
      inrkit sample hf://me/first -n 16

    Needs the extra 'hub' and the environment variable HF_TOKEN. Anybody who may read it uses it as hf://OWNER/NAME.
    """
    from inrkit.inference.model import Model
    from inrkit.storage import hub

    hub.parse(address)  # a mistake in it shows before the work
    if "hf:" in str(run):
        raise UsageError(f"expected a run directory or a saved model, found '{run}', which is on the hub already")
    with bar("uploading"):
        url = Model.load(run, device="cpu").push(address, dtype, private=not public, license=license)
    say(url)
