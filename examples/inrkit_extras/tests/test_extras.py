"""Each kind keeps the laws of its kind; and one run uses all of them."""

from pathlib import Path

import numpy as np
import pytest
import torch

import inrkit
from inrkit.testing import Case, checks_of

SMALL = {"width": 16, "heads": 2, "hidden": 16, "depth": 1, "inr_width": 16, "inr_inner": 16}
OFFERED = {"objective": "huber", "sampler": "midpoint", "tracker": "csv", "source": "npy"}


@pytest.mark.parametrize("check", [check for kind, name in OFFERED.items() for check in checks_of(name, kind=kind)])
def test_conformance(check: Case) -> None:
    """What the trainer and everything else rely on."""
    check()


@pytest.fixture
def array(tmp_path: Path) -> Path:
    """Forty small pictures as an array."""
    chance = np.random.default_rng(0)
    np.save(tmp_path / "pictures.npy", chance.uniform(-1, 1, (40, 3, 8, 8)).astype(np.float32))
    return tmp_path / "pictures.npy"


def test_a_run_uses_all_of_them(array: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As any user would: by name, from a file of theirs."""
    monkeypatch.chdir(tmp_path)
    model = inrkit.train(
        modality="image",
        out=tmp_path / "run",
        data="npy://pictures.npy",
        objective="huber",
        objective_options={"delta": 0.2},
        trackers=("csv",),
        steps=30,
        batch_size=8,
        options=SMALL,
        progress=False,
        on_sample=lambda *_: None,
        on_end=lambda *_: None,
    )
    assert model.config.data == f"npy://{array}"
    lines = [line.split(",") for line in (tmp_path / "run" / "metrics.csv").read_text().splitlines()]
    losses = [float(value) for _, name, value in lines if name == "loss/huber"]
    assert losses[-1] < losses[0]
    samples = model.sample(4, sampler=inrkit.load_plugins().sampler("midpoint")())
    assert torch.isfinite(samples.signal).all()


def test_a_file_that_is_no_array_is_refused(tmp_path: Path) -> None:
    """With the path and what was found."""
    (tmp_path / "text.npy").write_text("hello")
    with pytest.raises(inrkit.DataError, match=r"text\.npy: expected an array as \.npy, found"):
        inrkit.resolve("image", flags={"data": f"npy://{tmp_path / 'text.npy'}"})
