"""What can be compared: run directories, TOML files and presets."""

from pathlib import Path

from inrkit.errors import UsageError
from inrkit.plugins import load_plugins
from inrkit.storage.named import check_run


def check_system(one: Path | str) -> None:
    """`UsageError` or `DataError` for what is none of them; no torch is needed."""
    path, text = Path(one), str(one)
    if path.is_dir():
        check_run(path)
    elif path.suffix == ".toml":
        if not path.is_file():
            raise UsageError(f"{path}: expected a config, found none")
    elif ":" in text:
        load_plugins().entry("modality", text.partition(":")[0])
    else:
        raise UsageError(f"{text}: expected a run directory, a .toml file or MODALITY:PRESET, found none of them")
