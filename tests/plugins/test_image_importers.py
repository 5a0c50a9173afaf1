"""Folders and archives of images: every layout gives the same pixels; what is broken or hostile is refused by name."""

import io
import os
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image_files import deep_png, encoded, folder, packed, picture, png, tar
from PIL import Image, ImageOps
from stored import Stored, stored

from inrkit import DataError, Progress, UsageError, quiet
from inrkit_image.formats.decode import Decoding, decode
from inrkit_image.formats.folders import FolderOptions, ImagesImporter


def imported(source: Path, progress: Progress = quiet, **options: Any) -> Stored:
    return stored(ImagesImporter, source, progress, **options)


def images(source: Path, **options: Any) -> np.ndarray:
    return imported(source, **options).arrays["images"]


CLASSES = {f"set/{kind}/{i}.png": encoded(picture(10 * ord(kind) + i)) for kind in "ba" for i in range(3)}


@pytest.mark.parametrize("build", ["folder", "tar", "tar.gz", "zip"])
def test_folders_and_archives_give_the_same(tmp_path: Path, build: str) -> None:
    """A folder and its archives give equal images, in the order of names, labelled by their folders."""
    make = {
        "folder": lambda: folder(tmp_path / "x", CLASSES),
        "tar": lambda: tar(tmp_path / "x", CLASSES, "w"),
        "tar.gz": lambda: tar(tmp_path / "x", CLASSES),
        "zip": lambda: packed(tmp_path / "x", CLASSES),
    }
    found = imported(make[build]())
    assert found.attributes["class_names"] == ["a", "b"]
    assert found.arrays["labels"].tolist() == [0, 0, 0, 1, 1, 1]
    expected = [picture(10 * ord(name[4]) + int(name[6])) for name in sorted(CLASSES)]
    np.testing.assert_array_equal(found.arrays["images"], np.stack(expected))


def test_content_counts_and_not_the_name(tmp_path: Path) -> None:
    """Formats are told by content; files that are no images, hidden ones and subfolders called otherwise do no harm."""
    array = picture(0)
    files = {
        "a.png": encoded(array, "WEBP", lossless=True),
        "b.jpg": encoded(array),
        "c": encoded(array, "BMP"),
        "README.txt": b"words",
        ".DS_Store": b"x",
        "._b.jpg": b"x",
        "__MACOSX/b.png": b"x",
    }
    for source in (folder(tmp_path / "x", files), packed(tmp_path / "y.zip", files)):
        found = imported(source)
        assert set(found.arrays) == {"images"}
        np.testing.assert_array_equal(found.arrays["images"], np.stack([array] * 3))


def test_jpeg_and_a_single_file(tmp_path: Path) -> None:
    """A single file is a set of one; JPEG is near to its original."""
    smooth = np.linspace(0, 255, 64).astype(np.uint8).reshape(8, 8)
    (tmp_path / "x.jpeg").write_bytes(encoded(smooth, "JPEG", quality=95))
    found = images(tmp_path / "x.jpeg")
    assert found.shape == (1, 8, 8, 1)
    assert np.abs(found[0, ..., 0].astype(int) - smooth).max() < 8


def test_modes_become_grey_or_rgb(tmp_path: Path) -> None:
    """Grey among coloured images becomes RGB; palettes keep their colours; transparency shows the background."""
    colour, grey = picture(1), picture(2, (8, 10))
    clear = np.dstack([colour, np.zeros((8, 10), np.uint8)])
    half = np.full((8, 10, 4), (0, 100, 200, 51), np.uint8)
    palette = Image.fromarray(np.where(grey[..., None] > 99, colour[0, 0], colour[1, 1])).quantize(4)
    files = {
        "1": encoded(colour),
        "2": encoded(grey),
        "3": encoded(clear),
        "4": encoded(half),
        "5": encoded(palette),
        "6": encoded(Image.fromarray(grey).convert("LA")),
        "7": encoded(Image.fromarray(grey > 99)),
    }
    found = images(folder(tmp_path, files))
    assert found.shape == (7, 8, 10, 3)
    np.testing.assert_array_equal(found[1], grey[..., None].repeat(3, -1))
    assert (found[2] == 255).all()
    assert found[3, 0, 0].tolist() == [204, 224, 244]
    np.testing.assert_array_equal(found[4], np.asarray(palette.convert("RGB")))
    np.testing.assert_array_equal(found[5], found[1])
    np.testing.assert_array_equal(found[6, ..., 0], (grey > 99) * 255)
    red = images(tmp_path, background=(255, 0, 0))
    assert red[2, 0, 0].tolist() == [255, 0, 0]


def test_sixteen_bits_are_kept(tmp_path: Path) -> None:
    """16-bit grey, RGB and RGBA PNGs give their exact numbers; 8-bit images beside them are scaled to 16 bits."""
    deep = np.random.default_rng(0).integers(0, 65536, (4, 5, 3)).astype(np.uint16)
    opaque = np.dstack([deep, np.full((4, 5), 65535, np.uint16)])
    (tmp_path / "grey.png").write_bytes(deep_png(deep[..., :1]))
    found = images(tmp_path / "grey.png")
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found[0], deep[..., :1])
    eight = picture(0, (4, 5, 3))
    files = {"1.png": deep_png(deep), "2.png": deep_png(opaque), "3.png": encoded(eight)}
    found = images(folder(tmp_path / "x", files))
    np.testing.assert_array_equal(found, np.stack([deep, deep, eight.astype(np.uint16) * 257]))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_undone(tmp_path: Path, orientation: int) -> None:
    """Images come out as a viewer would show them."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(picture(3), exif=exif)
    (tmp_path / "x.png").write_bytes(data)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    np.testing.assert_array_equal(images(tmp_path / "x.png")[0], expected)


def test_first_frame_of_an_animation(tmp_path: Path) -> None:
    """Of an animation the first frame is taken."""
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    for form in ("GIF", "WEBP", "PNG"):
        options = {"lossless": True} if form == "WEBP" else {}
        data = encoded(frames[0], form, save_all=True, append_images=frames[1:], **options)
        (tmp_path / form).write_bytes(data)
        assert images(tmp_path / form)[0, 0, 0].tolist() == [255, 0, 0]


def test_sizes_must_agree_or_be_given(tmp_path: Path) -> None:
    """Unequal sizes are an error that names two files; a given size scales and crops the centre."""
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, 20:40] = (200, 100, 50)
    source = folder(tmp_path, {"a.png": encoded(picture(0)), "b.png": encoded(wide)})
    with pytest.raises(DataError, match=r"found \(8, 10\) in 'a.png' and \(20, 60\) in 'b.png'; give a 'size'"):
        images(source)
    found = images(source, size="10x10")
    assert found.shape == (2, 10, 10, 3)
    np.testing.assert_allclose(found[1, :, 3:7], np.broadcast_to((200, 100, 50), (10, 4, 3)), atol=2)


def test_resizing_keeps_the_mean_and_removes_aliasing(tmp_path: Path) -> None:
    """A fine checkerboard made eight times smaller is grey, not a coarse pattern."""
    board = ((np.indices((64, 64)).sum(0) % 2) * 255).astype(np.uint8)
    (tmp_path / "x.png").write_bytes(encoded(board))
    small = images(tmp_path / "x.png", size="8x8")
    assert np.abs(small.astype(int) - 127).max() <= 3


def test_channels_on_request(tmp_path: Path) -> None:
    """Grey is luma; RGB repeats grey."""
    (tmp_path / "x.png").write_bytes(encoded(np.full((2, 2, 3), (255, 0, 100), np.uint8)))
    grey = images(tmp_path / "x.png", channels="grey")
    assert grey.shape == (1, 2, 2, 1)
    assert grey[0, 0, 0, 0] == round(0.299 * 255 + 0.114 * 100)


def test_broken_files_are_named_or_skipped(tmp_path: Path) -> None:
    """The first broken file is an error with its name; on request all are left out and listed."""
    good, other = encoded(picture(0)), encoded(picture(1))
    files = {"a.png": good, "b.png": good[: len(good) // 2], "c.jpg": b"not an image", "d.png": b"", "e.png": other}
    source = folder(tmp_path / "x", files)
    with pytest.raises(DataError, match=r"x: b\.png: expected a PNG, JPEG"):
        images(source)
    for path in (source, tar(tmp_path / "x.tar", files, "w")):
        found = imported(path, skip_broken=True)
        np.testing.assert_array_equal(found.arrays["images"], np.stack([picture(0), picture(1)]))
        assert [line.split(":")[0] for line in found.skipped] == ["b.png", "c.jpg", "d.png"]
    with pytest.raises(DataError, match="only broken files"):
        images(folder(tmp_path / "y", {"b.png": b""}), skip_broken=True)


def test_any_damage_is_a_data_error(tmp_path: Path) -> None:
    """Random damage to images and archives gives an image or a `DataError`, never anything else."""
    rng = np.random.default_rng(0)
    sources = [encoded(picture(0)), encoded(picture(0), "JPEG"), encoded(picture(0), "WEBP"), deep_png(picture(0))]
    sources += [tar(tmp_path / "t", CLASSES).read_bytes(), packed(tmp_path / "z", CLASSES).read_bytes()]
    refused = 0
    for data in sources:
        for _ in range(40):
            damaged = bytearray(data)
            for at in rng.integers(0, len(data), 3):
                damaged[at] ^= int(rng.integers(1, 256))
            (tmp_path / "x.png").write_bytes(bytes(damaged[: rng.integers(len(data) // 2, len(data) + 1)]))
            try:
                images(tmp_path / "x.png")
            except DataError:
                refused += 1
    assert refused > 100


def test_bombs_are_refused_before_decoding(tmp_path: Path) -> None:
    """A header that promises too many pixels is refused by name and can be skipped; nothing is decoded."""
    bomb = png(60_000, 60_000, 0, 8, b"\0" * 1000)
    source = folder(tmp_path, {"a.png": bomb, "b.png": encoded(picture(0))})
    with pytest.raises(DataError, match=r"a\.png: expected at most .* pixels, found more"):
        images(source)
    assert len(images(source, skip_broken=True)) == 1
    with pytest.raises(DataError, match="at most 79 pixels"):
        decode(encoded(picture(0)), Decoding(max_pixels=79))


def test_archives_are_read_in_memory(tmp_path: Path) -> None:
    """Names that lead out of the archive, links and devices write and read nothing outside."""
    secret = folder(tmp_path / "secret", {"s.png": encoded(picture(9))}) / "s.png"
    path = tmp_path / "in" / "x.tar"
    path.parent.mkdir()
    with tarfile.open(path, "w") as archive:
        for name in ("../up.png", "/absolute.png", "ok.png"):
            data = encoded(picture(0))
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
            member = tarfile.TarInfo(f"special{kind!r}.png")
            member.type, member.linkname = kind, str(secret)
            archive.addfile(member)
    found = images(path)
    assert len(found) == 3
    assert (found == picture(0)).all()
    assert sorted(os.listdir(tmp_path)) == ["in", "secret"]
    assert os.listdir(path.parent) == ["x.tar"]


def test_missing_empty_and_foreign_sources_say_what_was_expected(tmp_path: Path) -> None:
    """Nothing there, an empty folder and a folder without images are told apart."""
    with pytest.raises(DataError, match="expected a folder, an archive or a file, found nothing there"):
        images(tmp_path / "nope")
    with pytest.raises(DataError, match="found none among 0 files"):
        images(tmp_path)
    with pytest.raises(DataError, match="found none among 1 files"):
        images(folder(tmp_path, {"x.txt": b"words"}))


def test_labels_limit_inside_and_progress(tmp_path: Path) -> None:
    """Labels can be refused or insisted on; a limit keeps the classes' shares; ``inside`` may omit the top folder."""
    source = tar(tmp_path / "x.tgz", CLASSES)
    every = images(source)
    assert set(imported(source, labels="none").arrays) == {"images"}
    np.testing.assert_array_equal(images(source, limit=2), every[[0, 3]])
    calls: list[tuple[int, int | None]] = []
    inside = imported(source, lambda done, total=None, what="": calls.append((done, total)), inside="b/")
    np.testing.assert_array_equal(inside.arrays["images"], every[3:])
    np.testing.assert_array_equal(images(source, inside="set/b"), every[3:])
    assert calls == [(1, 3), (2, 3), (3, 3)]
    with pytest.raises(DataError, match="inside 'set/c'"):
        images(source, inside="set/c")
    bare = folder(tmp_path / "bare", {"a/x.png": encoded(picture(0)), "y.png": encoded(picture(1))})
    assert set(imported(bare).arrays) == {"images"}
    with pytest.raises(DataError, match=r"found 'y\.png' in none"):
        images(bare, labels="folder")


def test_folder_with_a_link_to_itself_ends(tmp_path: Path) -> None:
    """A symbolic link that leads back up does not loop, and a linked folder of images counts."""
    other = folder(tmp_path / "other", {"b/y.png": encoded(picture(1))})
    source = folder(tmp_path / "x", {"a/x.png": encoded(picture(0))})
    (source / "a" / "loop").symlink_to(source)
    (source / "b").symlink_to(other / "b")
    np.testing.assert_array_equal(images(source), np.stack([picture(0), picture(1)]))


def test_names_that_are_no_text_are_made_text(tmp_path: Path) -> None:
    """A file whose name is not UTF-8 is read, and its name can be written down."""
    with open(os.fsencode(tmp_path) + b"/\xff.png", "wb") as file:
        file.write(encoded(picture(0)))
    assert len(images(tmp_path)) == 1
    with open(os.fsencode(tmp_path) + b"/\xfe.png", "wb") as file:
        file.write(b"broken")
    (line,) = imported(tmp_path, skip_broken=True).skipped
    assert b".png" in line.encode()


def test_wrong_options_are_named() -> None:
    """An option out of range says what was expected."""
    with pytest.raises(UsageError, match="'size'"):
        Decoding(size=(0, 4))
    with pytest.raises(UsageError, match=r"'size' must be at most 89,478,485 pixels in all \(got 100000x1000\)"):
        Decoding(size=(1000, 100000))
    with pytest.raises(UsageError, match="'limit'"):
        FolderOptions(limit=0)
