"""Data sets that are no stores: files of a user, imported once and for all; and what a plugin opens by its scheme."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from terminal import terminal

from inrkit import DataError, UsageError, load_plugins, resolve, write_store
from inrkit.cli import main
from inrkit.config.data import absolute_data, open_data
from inrkit_image.modality import ImageModality
from inrkit_image.options import ImageOptions

SMALL = {"width": 16, "heads": 2, "hidden": 16, "depth": 1, "inr_width": 16, "inr_inner": 16}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Twenty small pictures in a folder."""
    folder = tmp_path / "my photos"
    folder.mkdir()
    for i in range(20):
        Image.new("RGB", (8, 8), (12 * i, 0, 255 - 12 * i)).save(folder / f"{i:02}.png")
    return folder


def modality() -> ImageModality:
    return ImageModality(ImageOptions())


def test_a_folder_of_pictures_trains_as_it_is(photos: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What everyone types first: it is imported into a store beside it, said once, and used again."""
    words = ["train", "--data", str(photos), "--steps", "1", "--no-progress", "--out", str(photos.parent / "run")]
    words += [part for key, value in SMALL.items() for part in ("--set", f"options.{key}={value}")]
    first = CliRunner().invoke(main, words)
    assert first.exit_code == 0, first.output
    store = photos.parent / "my photos.image.h5"
    assert first.stderr.splitlines()[0] == f"inrkit: importing {photos.name} into {store.name}, beside it"
    assert first.stderr.count("importing") == 1
    before = store.stat().st_ino
    again = CliRunner().invoke(main, words)
    assert again.exit_code == 0, again.output
    assert "importing" not in again.stderr
    told = CliRunner().invoke(main, ["data", "info", str(store)]).stdout
    assert "held out" in told
    assert "files" not in told  # what only we need
    assert store.stat().st_ino == before


def test_changed_files_are_imported_anew(photos: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Added, replaced or removed; so is a damaged store."""
    count = len(open_data(str(photos), modality(), "train"))
    for i in range(20, 40):
        Image.new("RGB", (8, 8), (255, i, 0)).save(photos / f"{i}.png")
    assert len(open_data(str(photos), modality(), "train")) > count
    store = photos.parent / "my photos.image.h5"
    store.write_bytes(store.read_bytes()[:-100])
    assert len(open_data(str(photos), modality(), "train")) > count
    os.utime(photos / "39.png", (1, 1))
    open_data(str(photos), modality(), "train")
    assert capfd.readouterr().err.count("importing") == 4


def test_the_store_stands_for_files_that_are_gone(photos: Path) -> None:
    """A folder may be removed once it was imported, by whatever way it is named."""
    for data in (str(photos), f"files://{photos}?size=6x6"):
        before = open_data(data, modality(), "train").read([0])["values"]
        gone = photos.rename(photos.with_name("gone"))
        assert torch.equal(open_data(data, modality(), "train").read([0])["values"], before)
        with pytest.raises(DataError, match="found"):
            open_data(data.replace("my photos", "other photos"), modality(), "train")
        gone.rename(photos)


def test_a_folder_beside_which_nothing_can_be_written(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is imported into the user's cache folder, once, and read from there when it is gone."""
    kept = photos.parent / "kept"
    monkeypatch.setenv("INRKIT_CACHE", str(kept))
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    address = f"files://{photos}?size=6x6"
    count = len(open_data(address, modality(), "train"))
    (store,) = (kept / "imports").rglob("*.h5")
    written = store.stat().st_mtime_ns
    assert len(open_data(address, modality(), "train")) == count
    assert store.stat().st_mtime_ns == written
    assert not list(photos.parent.glob("*.h5"))
    photos.rename(photos.with_name("gone"))
    assert len(open_data(address, modality(), "train")) == count


def test_pictures_of_several_sizes_and_broken_ones_train_too(photos: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """They are brought to one size and left out, and both are said, with the way to another size."""
    Image.new("RGB", (20, 10)).save(photos / "other.png")
    (photos / "half.png").write_bytes((photos / "00.png").read_bytes()[:40])
    source = open_data(str(photos), modality(), "train")
    assert source.facts["size"] == [64, 64]
    said = capfd.readouterr().err
    assert "21 items of" in said
    assert "brought from several sizes to 64x64; another: --data 'files://my photos?size=WxH'" in said
    assert "1 left out: half.png: " in said
    assert "21 of 21 images were smaller than 64 x 64 and are enlarged" in said
    assert "1 of 21 images were cropped to the centre" in said
    for file in photos.iterdir():
        file.write_text("no picture")
    with pytest.raises(DataError, match=r"importers can read, .*images: .*options stand in the address"):
        open_data(str(photos), modality(), "train")


def test_what_is_said_of_an_import_is_folded_at_words_in_a_terminal(photos: Path) -> None:
    """Each remark within the terminal, its words whole, so that what can be copied is."""
    Image.new("RGB", (20, 10)).save(photos / "other.png")
    (photos / "half.png").write_bytes((photos / "00.png").read_bytes()[:40])
    with terminal(60) as seen:
        open_data(str(photos), modality(), "train")
    assert max(map(len, seen.lines)) <= 60
    assert any("photos?size=WxH'" in line for line in seen.lines)
    assert any(line.startswith("  ") for line in seen.lines)


def test_the_size_is_that_of_the_data(tmp_path: Path) -> None:
    """Unless it is given: in whole patches, and at most 64 pixels; the standard deviation is measured."""
    for height, width, size in ((48, 48, (48, 48)), (30, 21, (28, 20)), (100, 200, (32, 64))):
        store = tmp_path / f"{width}.h5"
        images = np.tile(np.array([96, 160], np.uint8)[None, None, :, None], (20, height, width // 2 + 1, 3))
        write_store(store, "image", {"images": images[:, :, :width]})
        options = resolve("image", flags={"data": str(store)}).config.options
        assert tuple(options["size"]) == size
        assert options["sigma_data"] == pytest.approx(32 / 127.5, abs=2e-3)
        assert resolve("image", "cifar10", flags={"data": str(store)}).config.options["size"] == [32, 32]
    embedded = resolve("image").config.options
    assert (tuple(embedded["size"]), embedded["sigma_data"]) == ((32, 32), 0.5)


def test_options_of_the_importer_stand_in_the_address(photos: Path) -> None:
    """Each set of options has a store of its own; the format can be chosen; what is wrong is named."""
    source = open_data(f"files://{photos}?size=6x6&limit=12", modality(), "train")
    assert source.read([0])["values"].shape[-3:] in {(6, 6, 3), (3, 6, 6)}
    assert open_data(f"files://{photos}?format=images&size=6x6", modality(), "train").facts["count"] > len(source)
    assert len(list(photos.parent.glob("my photos.image-*.h5"))) == 2
    with pytest.raises(UsageError, match=r"files://: 'sise': no such key.*Did you mean 'size'\?"):
        open_data(f"files://{photos}?format=images&sise=6x6", modality(), "train")
    with pytest.raises(UsageError, match="'srn' imports signals of 'nerf', expected 'image'"):
        open_data(f"files://{photos}?format=srn", modality(), "train")
    with pytest.raises(DataError, match="expected a folder or a file, found none"):
        open_data("files://nowhere", modality(), "train")


def test_an_address_is_found_from_any_working_directory(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that goes on elsewhere reads the same data."""
    monkeypatch.chdir(photos.parent)
    resolved = resolve("image", flags={"data": "files://my photos?limit=20", "options": SMALL})
    assert resolved.config.data == f"files://{photos}?limit=20"
    assert absolute_data("my photos") == str(photos)
    monkeypatch.chdir(photos)
    held_out, training = resolved.source("test"), resolved.source("train")
    assert len(held_out) + len(training) == 20
    assert torch.equal(training.read([3])["values"], open_data(str(photos), modality(), "train").read([3])["values"])


def test_an_unknown_scheme_is_answered_with_the_nearest() -> None:
    """Before anything is trained."""
    with pytest.raises(UsageError, match=r"no source named 'file'; installed: .*files.*Did you mean 'files'\?"):
        resolve("image", flags={"data": "file://photos"})
    assert load_plugins().source("files").name == "files"
