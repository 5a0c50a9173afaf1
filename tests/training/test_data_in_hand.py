"""Signals in memory as training data: they train, and what is no signal is refused in one line."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_testing import IMAGE
from toy import ToyModality
from toy_run import nothing

import inrkit
from inrkit import DataError, InrkitError, Store, UsageError, train, write_store
from inrkit.training.given import stored

QUIET = {"on_sample": nothing, "on_end": nothing, "progress": False, "precision": "fp32"}
PIXELS = np.random.default_rng(0).integers(0, 256, (20, 16, 16, 3), np.uint8)
FLOATS = torch.from_numpy(PIXELS).movedim(-1, 1).float() / 255
CLASSES = torch.arange(20) % 2


@pytest.fixture
def image() -> type[inrkit.Modality]:
    return inrkit.load_plugins().modality("image")


class Pairs(torch.utils.data.Dataset[Any]):
    """Pictures as torchvision has them, (C, H, W) in [0, 1], with a class."""

    def __len__(self) -> int:
        return 20

    def __getitem__(self, number: int) -> Any:
        return FLOATS[number], int(CLASSES[number])


def test_a_dataset_trains_and_is_found_again(tmp_path: Path) -> None:
    """It lies beside the run, which goes on with it and is evaluated on it without its program."""
    keys = {"modality": "image", "out": tmp_path / "run", "batch_size": 4, "options": {**IMAGE, "classes": 2}, **QUIET}
    train(data=Pairs(), steps=1, **keys)  # type: ignore[arg-type]
    model = train(data=Pairs(), steps=2, extend=True, **keys)  # type: ignore[arg-type]
    assert model.step == 2
    assert model.config.data == str(tmp_path / "run.data.h5")
    assert Store(Path(model.config.data)).read("labels", slice(0, 4)).tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(
    "data",
    [PIXELS, torch.from_numpy(PIXELS), PIXELS.transpose(0, 3, 1, 2), list(PIXELS), FLOATS, FLOATS.double(), Pairs()],
    ids=["bytes", "tensor", "channels first", "list", "floats", "doubles", "dataset"],
)
def test_every_form_gives_the_same_pictures(tmp_path: Path, image: type[inrkit.Modality], data: Any) -> None:
    """Channels first or last, bytes or floats."""
    found = Store(stored(data, image, tmp_path / "x.h5")).read("images", slice(None))
    as_floats = found / 255 if found.dtype == np.uint8 else found
    assert found.shape == (20, 16, 16, 3)
    assert np.allclose(as_floats, PIXELS / 255, atol=1e-6)


BAD = {
    "floats to 255": (FLOATS * 255, "expected finite floats from 0 to 1, found 0 to 255"),
    "floats from -1": (FLOATS * 2 - 1, "expected finite floats from 0 to 1, found -1 to 1"),
    "not a number": (FLOATS * np.nan, "expected finite floats"),
    "no picture": (torch.zeros(20, 5), r"expected numbers with 2 axes, and one more for channels or none, found"),
    "text": (["a", "b"], "signal 0 of 'data': expected numbers"),
    "several sizes": ([PIXELS[0], PIXELS[1, 2:]], "like the first"),
    "negative class": ([(PIXELS[0], -1)], "expected a class number from 0"),
    "nothing": ([], "expected items for a store, found none"),
    "a number": (5, "must be a path, a torch Dataset, an array"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_signal_is_refused(tmp_path: Path, image: type[inrkit.Modality], name: str) -> None:
    """In one line, with nothing left on the disk."""
    data, words = BAD[name]
    with pytest.raises(InrkitError, match=words):
        stored(data, image, tmp_path / "x.h5")
    assert not list(tmp_path.iterdir())


def test_only_grids_and_named_runs_take_data_in_memory(tmp_path: Path) -> None:
    """Others are imported."""
    with pytest.raises(UsageError, match="can be signals on a grid, which those of 'toy' are not"):
        train(modality=ToyModality, data=PIXELS, out=tmp_path / "run", **QUIET)
    with pytest.raises(UsageError, match="needs 'modality' and 'out'"):
        train(modality="image", data=PIXELS, **QUIET)


def test_a_store_with_channels_first_is_refused(tmp_path: Path, image: type[inrkit.Modality]) -> None:
    """Three rows of sixteen pixels in sixteen channels are meant by nobody."""
    path = write_store(tmp_path / "x.h5", "image", {"images": FLOATS})
    with pytest.raises(DataError, match="move the axis of channels to the end"):
        image(image.Options()).source(path, "train")


def test_a_store_of_unscaled_floats_is_refused(tmp_path: Path) -> None:
    """Pictures as floats of 0 to 255 are not learned as if they were bright."""
    path = write_store(tmp_path / "x.h5", "image", {"images": FLOATS.movedim(1, -1) * 255})
    with pytest.raises(DataError, match=r"expected values on about \[-1, 1\] from the data, found up to 509"):
        train(modality="image", data=path, out=tmp_path / "run", options=IMAGE, **QUIET)
