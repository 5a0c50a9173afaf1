"""A run directory: its config stays the one of its checkpoints."""

from pathlib import Path

import pytest
from toy import ToyModality
from toy_run import train_toy

from inrkit.errors import DataError
from inrkit.inference.model import Model


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one step."""
    out = tmp_path_factory.mktemp("runs") / "toy"
    train_toy(out, steps=1)
    return out


@pytest.mark.parametrize(("old", "new", "said"), [("seed = 0", "seed = 1", "seed 0, now 1")])
def test_a_config_that_was_altered_is_named_by_key_and_values(run: Path, old: str, new: str, said: str) -> None:
    """One byte of config.toml can mean other pictures: loading says which key is another than in training."""
    path = run / "config.toml"
    before = path.read_text()
    assert old in before
    path.write_text(before.replace(old, new))
    try:
        with pytest.raises(DataError, match=said):
            Model.load(run, modality=ToyModality)
    finally:
        path.write_text(before)
    assert Model.load(run, modality=ToyModality).step == 1


def test_more_steps_and_another_machine_are_no_other_config(run: Path) -> None:
    """What a resumed run may change, a loaded one may have changed."""
    path = run / "config.toml"
    before = path.read_text()
    path.write_text(before.replace("steps = 1\n", "steps = 9\n").replace("keep = 2", "keep = 5"))
    try:
        assert path.read_text() != before
        assert Model.load(run, modality=ToyModality).step == 1
    finally:
        path.write_text(before)
