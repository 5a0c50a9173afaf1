"""What a user may name where a run is asked for: a run directory, a saved model, or one by name.

runs/faces          a run directory, or the folder of a saved model
faces               a model that an installed plugin offers (`register_models`)
hf://owner/name     a model on the Hugging Face hub, fetched because it is asked for
"""

import re
from pathlib import Path

from inrkit.errors import DataError, did_you_mean
from inrkit.plugins import load_plugins
from inrkit.storage.fileerror import neighbour

_HUB = re.compile(r"hf:/+(.+)")  # a `Path` has made one slash of two


def find_run(run: Path | str) -> tuple[Path, Path]:
    """The folder to read, and the one for what is made with it: the same, or one of its name where the user is.

    A run directory of the user is found before a model of the same name.
    """
    text, path = str(run), Path(run)
    if found := _HUB.fullmatch(text):
        from inrkit.storage import hub  # with all that it needs, only for whoever asks for it

        return hub.fetch(found[1]), Path(hub.parse(found[1])[0].rpartition("/")[2])
    if (path / "config.toml").is_file() or (path / "checkpoints").is_dir():
        return path, path
    models = load_plugins().models
    if text in models:
        return load_plugins().model(text), path
    if path.exists() or len(path.parts) != 1:
        return path, path
    known = ", ".join(models) or "none is installed"
    meant = f".{did_you_mean(text, models)}" if did_you_mean(text, models) else neighbour(path)
    raise DataError(
        f"{text}: expected a run directory, or the name of a model ({known}), found neither; train one first{meant}"
    )


def check_run(run: Path | str) -> None:
    """`DataError` where there is no such run; nothing is fetched, and no torch is needed."""
    if not _HUB.fullmatch(str(run)) and not (find_run(run)[0] / "config.toml").is_file():
        found = f"found none; train one first{neighbour(run)}"
        raise DataError(f"{run}: expected a run directory with a config.toml, {found}")
