"""Contact sheets: every value can be seen, nothing else is in the file."""

import struct

import pytest
import torch
from PIL import Image

from inrkit.drawing.layout import Layout
from inrkit.drawing.sheet import (
    CLEAR,
    GAP,
    LEAST,
    PAGE,
    columns_for,
    columns_within,
    first_row,
    labelled_rows,
    laid_out,
    png,
    save_png,
    scale_for,
    sheet,
    to_image,
)
from inrkit.errors import UsageError


def chunks(data: bytes) -> list[str]:
    """The names of a PNG's chunks."""
    names, at = [], 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        names.append(data[at + 4 : at + 8].decode())
        at += 12 + length
    return names


@pytest.mark.parametrize("side", [1, 7, 16, 32, 95, 96, 128])
def test_a_tile_is_large_enough_and_no_larger_than_needed(side: int) -> None:
    """The factor is the smallest whole one that reaches the least size."""
    scale = scale_for(side, side)
    assert scale * side >= LEAST
    assert scale == 1 or (scale - 1) * side < LEAST


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (4, 2), (16, 4), (32, 8), (64, 8), (6, 3), (7, 3), (11, 4)])
def test_columns_leave_no_open_row_where_that_is_possible(count: int, columns: int) -> None:
    """As near to a square as whole rows allow; for a prime, a square with an open end."""
    assert columns_for(count) == columns


def test_every_value_becomes_a_square_of_its_colour() -> None:
    """Enlarging repeats values and invents none."""
    picture = torch.rand(3, 2, 3)
    image = to_image(picture, scale=4)
    assert image.size == (12, 8)
    for y in range(8):
        for x in range(12):
            expected = (picture[:, y // 4, x // 4] * 255).round().to(torch.uint8).tolist()
            assert list(image.getpixel((x, y))) == expected


def test_what_cannot_be_shown_is_cut_off() -> None:
    """Values outside [0, 1] are cut off; what is not a number is black."""
    picture = torch.tensor([-1.0, 2.0, float("nan"), float("inf")]).expand(3, 1, 4)
    assert [to_image(picture).getpixel((x, 0))[0] for x in range(4)] == [0, 255, 0, 255]


def test_tiles_stand_where_they_belong() -> None:
    """Row by row, from left to right, apart from each other by the gap."""
    pictures = torch.linspace(0, 1, 6)[:, None, None, None].expand(6, 3, 96, 96)
    image = sheet(pictures, columns=3)
    assert image.size == (GAP + 3 * (96 + GAP), GAP + 2 * (96 + GAP))
    for i in range(6):
        corner = (GAP + (i % 3) * (96 + GAP), GAP + (i // 3) * (96 + GAP))
        assert image.getpixel(corner)[0] == round(255 * i / 5)
        assert image.getpixel((corner[0] - 1, corner[1])) == (255, 255, 255, 255)


def test_captions_and_labels_take_room_of_their_own() -> None:
    """Text stands below or beside the tiles and covers none of them."""
    pictures = torch.zeros(3, 3, 32, 32)
    plain, captioned = sheet(pictures, columns=3), sheet(pictures, columns=3, captions=["a", "b" * 99, ""])
    assert captioned.height > plain.height
    assert (
        captioned.crop((0, 0, plain.width, plain.height - GAP)).tobytes()
        == plain.crop((0, 0, plain.width, plain.height - GAP)).tobytes()
    )
    rows = labelled_rows({"original": pictures, "encode": pictures}, captions=["1", "2", "3"])
    assert rows.width > plain.width


def test_first_row_is_what_a_sheet_of_that_row_shows() -> None:
    """Cutting the first row off a sheet of 32 gives the tiles of its first 8 pictures."""
    pictures = torch.rand(32, 3, 16, 16)
    row = first_row(sheet(pictures), 32)
    alone = sheet(pictures[:8], columns=8)
    assert row.tobytes() == alone.crop((GAP, GAP, alone.width - GAP, alone.height - GAP)).tobytes()


def test_a_file_holds_the_picture_and_nothing_else(tmp_path) -> None:
    """No text, time or profile goes into a PNG, not even what another file brought along."""
    image = to_image(torch.rand(3, 8, 8))
    image.info["Author"] = "somebody"
    path = save_png(image, tmp_path / "sheet.png")
    assert set(chunks(path.read_bytes())) == {"IHDR", "IDAT", "IEND"}
    with Image.open(path) as back:
        assert back.info == {}
        assert back.tobytes() == image.tobytes()


def test_only_gaps_are_transparent() -> None:
    """On clear paper the page shines through between the tiles; on white paper the file is opaque."""
    pictures = torch.rand(2, 3, 8, 8)
    clear = sheet(pictures, paper=CLEAR)
    assert clear.getpixel((0, 0))[3] == 0
    assert clear.getpixel((GAP, GAP))[3] == 255
    assert png(sheet(pictures))[25] == 2  # the colour type of IHDR: RGB


@pytest.mark.parametrize("shape", [(0, 3, 4, 4), (3, 4, 4), (2, 1, 4, 4)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    """What is not a set of pictures is named in the error."""
    with pytest.raises(UsageError, match="picture"):
        sheet(torch.zeros(shape))


def test_named_rows_fit_on_a_page() -> None:
    """What is wider is broken into even blocks of all rows, each with the labels; columns that are asked for stay."""
    assert [columns_within(count, 8) for count in (1, 8, 9, 12, 24, 25)] == [1, 8, 5, 6, 8, 7]
    pictures = torch.rand(24, 3, 32, 32)
    rows = {"original": pictures, "reconstruction": pictures}
    found = labelled_rows(rows)
    assert found.width <= 1.1 * PAGE  # with the labels beside it
    assert found.width < 10 * LEAST  # eight of them
    assert found.height > 6 * (LEAST + GAP)
    large = torch.rand(8, 3, 400, 400)
    assert labelled_rows({"original": large, "reconstruction": large}).width <= 1.1 * PAGE
    assert laid_out(rows, Layout(24)).width > 24 * LEAST
