"""The folder of a saved model is whole or absent, whatever happened to those who wrote it before."""

import subprocess
import sys
from pathlib import Path

from inrkit.config.run import RunConfig
from inrkit.storage.modelfolder import is_model, save_model


def saved(folder: Path) -> Path:
    return save_model(folder, RunConfig(modality="image"), {}, {}, step=1, meta={})


def test_what_killed_savers_left_is_removed_or_put_back(tmp_path: Path) -> None:
    """An unfinished folder goes, a model that was set aside and never replaced comes back; others' stay."""
    child = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    dead = int(child.stdout)
    (tmp_path / f".tmp-mine-{dead}").mkdir()
    saved(tmp_path / "mine").rename(tmp_path / f".tmp-aside-mine-{dead}")
    (tmp_path / f".tmp-mine-{dead}").mkdir()
    (tmp_path / f".tmp-other-{dead}").mkdir()
    assert is_model(saved(tmp_path / "mine"))
    assert sorted(path.name for path in tmp_path.iterdir()) == [f".tmp-other-{dead}", "mine"]
