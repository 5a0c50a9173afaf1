"""Sheets for a paper: the same pictures and words in every format, and as many of them as are wished."""

import base64
import io
import re
import xml.etree.ElementTree as ET
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from inrkit.drawing.figure import Figure, pdf, svg
from inrkit.drawing.layout import Layout
from inrkit.drawing.sheet import GAP, laid_out, png, save_sheet
from inrkit.errors import UsageError

ROWS = {"original": torch.rand(5, 3, 8, 8), "edited (a)": torch.rand(5, 3, 8, 8)}
CAPTIONS = [f"{i} dB" for i in range(5)]


def figure(layout: Layout) -> Figure:
    return laid_out(ROWS, layout, captions=CAPTIONS)


def test_rows_are_broken_where_columns_end() -> None:
    """All rows of the first signals, then all of the next; names and captions with each."""
    wide, narrow = figure(Layout()), figure(Layout(columns=3))
    assert [words.text for words in narrow.words if words.anchor == "end"] == 2 * list(ROWS)
    assert [words.text for words in narrow.words if words.anchor == "middle"] == CAPTIONS
    assert len(narrow.tiles) == len(wide.tiles) == 10
    assert narrow.width == wide.width - 2 * (96 + GAP)
    assert len({tile.top for tile in narrow.tiles}) == 4


def test_scale_rows_and_signals_are_chosen() -> None:
    """Each value as many dots as wished; captions go with the row that they are about, and leave with it."""
    found = figure(Layout(scale=2, rows=["edited (a)", "original"], pick=[4, 1]))
    assert {tile.image.size for tile in found.tiles} == {(16, 16)}
    first = torch.from_numpy(np.array(found.tiles[0].image)).permute(2, 0, 1)[:, ::2, ::2]
    assert torch.equal(first, (ROWS["edited (a)"][4] * 255).round().to(torch.uint8))
    assert [words.text for words in found.words if words.anchor == "middle"] == ["4..", "1.."]  # cut to the tile
    assert not [words for words in figure(Layout(rows=["original"])).words if words.anchor == "middle"]


@pytest.mark.parametrize(
    ("layout", "why"),
    [(Layout(rows=["orignal"]), "Did you mean 'original'"), (Layout(pick=[0, 5]), "numbers from 0 to 4, found 5")],
)
def test_what_is_not_there_is_refused(layout: Layout, why: str) -> None:
    """With what there is."""
    with pytest.raises(UsageError, match=why):
        figure(layout)


def test_pdf_holds_words_and_pictures_without_loss() -> None:
    """Every object is where the table says; letters of the words are text; bytes of the pictures are those drawn."""
    found = figure(Layout(pick=[0, 2]))
    data = pdf(found)
    places = [int(place) for place in re.findall(rb"^(\d{10}) 00000 n", data, re.MULTILINE)]
    assert [data[at:].split(b" ", 1)[0] for at in places] == [b"%d" % (i + 1) for i in range(5 + 4)]
    assert data[int(data.rsplit(b"startxref\n", 1)[1].split()[0]) :].startswith(b"xref")
    streams = [zlib.decompress(part) for part in re.findall(rb"stream\n(.*?)\nendstream", data, re.DOTALL)]
    assert b"(original) Tj" in streams[0]
    assert rb"(edited \(a\)) Tj" in streams[0]
    assert streams[1:] == [tile.image.tobytes() for tile in found.tiles]
    assert pdf(figure(Layout(pick=[0, 2]))) == data


def test_svg_holds_words_and_pictures() -> None:
    """As text that programs for drawings can change, and as PNG."""
    found = figure(Layout(pick=[3]))
    tree = ET.fromstring(svg(found, png))
    assert [text.text for text in tree.iter("{http://www.w3.org/2000/svg}text")] == ["original", "edited (a)", "3 dB"]
    link = "{http://www.w3.org/1999/xlink}href"
    sources = [image.attrib[link] for image in tree.iter("{http://www.w3.org/2000/svg}image")]
    for source, tile in zip(sources, found.tiles, strict=True):
        with Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))) as picture:
            assert picture.tobytes() == tile.image.tobytes()


def test_a_sheet_is_written_beside_its_png(tmp_path: Path) -> None:
    """In the format of the ending; one of several sheets has its name in that of the file."""
    layout = Layout(path=tmp_path / "f.pdf")
    assert save_sheet(ROWS, layout, tmp_path / "sheet.png") == [tmp_path / "sheet.png", tmp_path / "f.pdf"]
    assert (tmp_path / "f.pdf").read_bytes().startswith(b"%PDF-1.4")
    assert layout.further("1-step").path == tmp_path / "f-1-step.pdf"
