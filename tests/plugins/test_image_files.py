"""Pictures of the user, in and out."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from inrkit import DataError, UsageError
from inrkit_image.formats.picture import write_image
from inrkit_image.modality import ImageModality, ImageOptions


def read(paths: list[Path], size: tuple[int, int], channels: int) -> tuple[torch.Tensor, list[str]]:
    signals, names = ImageModality(ImageOptions(size=size, channels=channels)).read(paths)
    return signals["values"], list(names)


@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_written_is_read_back(channels: int, tmp_path: Path) -> None:
    """PNG loses nothing but what 8 bits cannot hold."""
    values = torch.rand(channels, 6, 5, generator=torch.Generator().manual_seed(0)) * 2 - 1
    path = write_image(values, tmp_path / "picture")
    assert path == tmp_path / "picture.png"
    images, names = read([path], (6, 5), channels)
    assert names == [str(path)]
    assert (images[0] * 2 - 1 - values).abs().max() <= 1 / 255 + 1e-6
    assert list(tmp_path.iterdir()) == [path]


def test_images_of_any_kind_come_to_one_shape(tmp_path: Path) -> None:
    """Grey, transparent and 16-bit files; a folder stands for what is in it, in order of names."""
    (tmp_path / "in").mkdir()
    Image.fromarray(np.full((9, 7), 255, np.uint8)).save(tmp_path / "in" / "b.png")
    Image.fromarray(np.zeros((4, 4, 4), np.uint8)).save(tmp_path / "in" / "a.png")
    Image.fromarray(np.full((4, 4), 65535, np.uint16)).save(tmp_path / "deep.png")
    images, names = read([tmp_path / "deep.png", tmp_path / "in"], (4, 4), 3)
    assert images.shape == (3, 3, 4, 4)
    assert [Path(name).name for name in names] == ["deep.png", "a.png", "b.png"]
    assert torch.equal(images, torch.ones_like(images))  # white, see-through on white, white


def test_values_outside_the_range_are_cut_off(tmp_path: Path) -> None:
    """An INR may overshoot; a file cannot."""
    values = torch.tensor([[[-9.0, 9.0, float("nan")]]])
    with Image.open(write_image(values, tmp_path / "x.png")) as image:
        assert np.asarray(image).tolist() == [[0, 255, 128]]


def test_mistakes_are_named(tmp_path: Path) -> None:
    """Missing, broken, empty and unknown: each with its own message."""
    with pytest.raises(DataError, match="found nothing there"):
        read([tmp_path / "none.png"], (4, 4), 3)
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(DataError, match=r"text\.png"):
        read([tmp_path / "text.png"], (4, 4), 3)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"expected files inside that end in \.png"):
        read([tmp_path / "empty"], (4, 4), 3)
    with pytest.raises(UsageError, match="5 channels"):
        read([tmp_path / "text.png"], (4, 4), 5)
    with pytest.raises(UsageError, match="expected a name ending in"):
        write_image(torch.zeros(3, 2, 2), tmp_path / "x.tiff")
    with pytest.raises(UsageError, match="1 to 4 channels"):
        write_image(torch.zeros(5, 2, 2), tmp_path / "x.png")


def test_a_file_without_transparency_takes_what_it_can(tmp_path: Path) -> None:
    """JPEG has no alpha channel: it is left out."""
    for name in ("x.jpg", "x.webp", "x.gif", "x.bmp"):
        with Image.open(write_image(torch.zeros(4, 8, 8), tmp_path / name)) as image:
            assert image.size == (8, 8)


@pytest.mark.parametrize("size", [(16, 16), (9, 20), (64, 64)])
def test_pictures_are_scaled_as_pillow_scales_them(size: tuple[int, int], tmp_path: Path) -> None:
    """To cover the size, without aliasing, and cut to the centre: what figures of other programs are computed on."""
    picture = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / "a.png")
    scale = max(size[0] / 40, size[1] / 50)
    height, width = round(40 * scale), round(50 * scale)
    scaled = np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR))
    top, left = (height - size[0]) // 2, (width - size[1]) // 2
    expected = scaled[top : top + size[0], left : left + size[1]].astype(float)
    found = read([tmp_path / "a.png"], size, 3)[0][0].movedim(0, -1).numpy() * 255
    assert np.abs(found - expected).max() <= 1
