"""Very many samples in one file."""

from pathlib import Path

import numpy as np
import pytest
import torch
from toy import ToyModality

from inrkit.config.resolve import resolve
from inrkit.errors import UsageError
from inrkit.inference.model import Model, build_model
from inrkit.inference.picture import pictures_of
from inrkit.inference.sampleset import save_samples


@pytest.fixture
def model(tmp_path: Path) -> Model:
    """An untrained toy."""
    return build_model(resolve(ToyModality), tmp_path, 7, torch.device("cpu"))


def test_parts_are_the_samples_of_one_call(model: Model) -> None:
    """Rows are numbered through, whatever part they are made in."""
    whole = model.sample(150, seed=3, times=(80.0, 0.8)).signal
    parts = [model.sample(n, seed=3, times=(80.0, 0.8), first=first).signal for first, n in ((0, 64), (64, 86))]
    torch.testing.assert_close(torch.cat(parts), whole, rtol=0, atol=0)
    with pytest.raises(UsageError, match="multiple of 64"):
        model.sample(3, first=3)


def test_one_file_holds_the_pictures_of_all(model: Model, tmp_path: Path) -> None:
    """As many bytes as they take, readable by numpy, and nothing unfinished beside it."""
    progress: list[int] = []
    file = save_samples(
        model, tmp_path / "many.npz", 300, 5, progress=lambda done, total=None, what="": progress.append(done)
    )
    with np.load(file) as arrays:
        images = arrays["arr_0"]
    expected = pictures_of(model, model.sample(300, seed=5).signal)
    assert images.dtype == np.uint8
    assert np.array_equal(images, (expected * 255).round().byte().movedim(1, -1).numpy())
    assert progress == [256, 300]
    assert [path.name for path in tmp_path.iterdir()] == ["many.npz"]


def test_what_fails_leaves_no_file(model: Model, tmp_path: Path) -> None:
    """A wrong name is refused, and a failure midway leaves nothing behind."""
    with pytest.raises(UsageError, match=r"\.npz"):
        save_samples(model, tmp_path / "many.h5", 3)

    def fail(done: int, total: int | None = None, what: str = "") -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save_samples(model, tmp_path / "many.npz", 300, progress=fail)
    assert not list(tmp_path.iterdir())
