"""Contact sheets: many small pictures on one PNG, enlarged by whole numbers so that every value stays visible.

Pictures are tensors (N, 3, H, W) or (3, H, W) in [0, 1]. A PNG holds what is drawn and nothing else: no text chunks,
no time, no name of a machine.
"""

import base64
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageFont
from torch import Tensor

from inrkit.drawing.figure import SIZE, Figure, Tile, Words, save_figure
from inrkit.drawing.layout import USUAL, Layout
from inrkit.errors import UsageError
from inrkit.storage import atomic

LEAST = 96
"""The longer side of a tile is at least this many dots."""
PAGE = 1200
"""Named rows are broken where they would be wider than this many dots, a screen or a page."""
WIDEST = 8
"""Named rows are at most so many pictures wide: more are no longer looked at one by one."""
GAP = 4
WHITE = (255, 255, 255, 255)
CLEAR = (0, 0, 0, 0)


class _Row(NamedTuple):
    tiles: Sequence[Image.Image]
    captions: Sequence[str]
    label: str = ""


def scale_for(height: int, width: int) -> int:
    """The smallest whole factor that makes the longer side at least `LEAST` dots."""
    return max(1, math.ceil(LEAST / max(height, width)))


def columns_for(count: int) -> int:
    """Columns of a sheet that is about as wide as high, wider when that avoids an open last row: 8 for 32."""
    least = max(1, math.isqrt(max(count - 1, 0)) + 1)
    full = [columns for columns in range(least, 2 * least) if count % columns == 0]
    return full[0] if full else least


def columns_within(count: int, most: int) -> int:
    """Columns of named rows that fit on a page, evenly: 24 signals of which 8 fit become 3 blocks of 8, 9 of 5."""
    return math.ceil(count / math.ceil(count / max(1, most)))


def to_image(picture: Tensor, scale: int = 1) -> Image.Image:
    """One picture (3, H, W), every value a square of ``scale`` dots. What is not a number is shown as black."""
    if picture.ndim != 3 or picture.shape[0] != 3:
        raise UsageError(f"a picture is (3, H, W), got {tuple(picture.shape)}")
    values = torch.nan_to_num(picture.detach().float().cpu(), nan=0.0).clamp(0, 1)
    array = (values * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
    image = Image.fromarray(array)
    return image if scale == 1 else image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)


def sheet(
    pictures: Tensor,
    *,
    columns: int | None = None,
    captions: Sequence[str] | None = None,
    paper: tuple[int, int, int, int] = WHITE,
) -> Image.Image:
    """Pictures (N, 3, H, W) row by row, with a caption below each if wanted."""
    if pictures.ndim != 4 or not len(pictures):
        raise UsageError(f"a sheet needs pictures (N, 3, H, W) with N > 0, got {tuple(pictures.shape)}")
    return laid_out({"": pictures}, Layout(columns), captions=captions).image(paper)


def labelled_rows(rows: Mapping[str, Tensor], *, captions: Sequence[str] | None = None) -> Image.Image:
    """One row for each entry (N, 3, H, W), its name on the left; ``captions`` stand below the last row."""
    return laid_out(rows, USUAL, captions=captions).image()


def laid_out(rows: Mapping[str, Tensor], layout: Layout, *, captions: Sequence[str] | None = None) -> Figure:
    """Rows of pictures (N, 3, H, W) as a layout has them, else as wide as a page; one without a name about as high.

    ``captions`` stand below the last of the rows that there are, if it is shown.
    """
    last = list(rows)[-1]
    shown = layout.chosen_rows(dict(rows))
    pick = layout.picked(min(len(pictures) for pictures in shown.values()))
    texts = None if captions is None else [captions[i] for i in pick]
    whole = [
        _row_of(pictures[list(pick)], texts if label == last else None, label, layout.scale)
        for label, pictures in shown.items()
    ]
    wide = max(tile.width for row in whole for tile in row.tiles) + GAP
    columns = layout.columns or (
        columns_for(len(pick)) if last == "" else columns_within(len(pick), min(WIDEST, PAGE // wide))
    )
    parts = [slice(start, start + columns) for start in range(0, len(pick), columns)]
    return _compose([[_Row(row.tiles[part], row.captions[part], row.label) for row in whole] for part in parts])


def save_sheet(
    rows: Mapping[str, Tensor], layout: Layout, sheet: Path | None, *, captions: Sequence[str] | None = None
) -> list[Path]:
    """The sheet as a PNG, and in the further file of the layout; what was written."""
    figure = laid_out(rows, layout, captions=captions)
    return [save_figure(figure, path, png) for path in dict.fromkeys((sheet, layout.path)) if path is not None]


def _row_of(pictures: Tensor, captions: Sequence[str] | None, label: str, scale: int | None) -> _Row:
    tiles = [to_image(picture, scale or scale_for(*pictures.shape[2:])) for picture in pictures]
    texts = [""] * len(tiles) if captions is None else list(captions)
    if len(texts) != len(tiles):
        raise UsageError(f"a sheet needs as many captions as pictures, {len(tiles)} (got {len(texts)})")
    return _Row(tiles, texts, label)


def data_address(image: Image.Image) -> str:
    """The image as an address that holds it, for pages that are one file."""
    return f"data:image/png;base64,{base64.b64encode(png(image)).decode()}"


def png(image: Image.Image) -> bytes:
    """The bytes of a PNG file; opaque images are stored without transparency."""
    if image.mode == "RGBA" and image.getchannel("A").getextrema()[0] == 255:
        image = image.convert("RGB")
    clean = Image.new(image.mode, image.size)
    clean.paste(image)  # an image that was read from a file would carry that file's text chunks along
    buffer = io.BytesIO()
    clean.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def save_png(image: Image.Image, path: Path) -> Path:
    """Write the file atomically, replacing what was there."""
    atomic.write_bytes(path, png(image))
    return path


def read_png(path: Path) -> Tensor:
    """A picture that was saved, (3, H, W) in [0, 1]."""
    with Image.open(path) as opened:
        return torch.from_numpy(np.array(opened.convert("RGB"))).permute(2, 0, 1) / 255


def first_row(image: Image.Image, count: int) -> Image.Image:
    """The first row of a captionless `sheet` of ``count`` pictures, without its outer gap."""
    rows = math.ceil(count / columns_for(count))
    height = (image.height - GAP) // rows - GAP
    return image.crop((GAP, GAP, image.width - GAP, GAP + height))


def _compose(blocks: Sequence[Sequence[_Row]]) -> Figure:
    """Cells of one width; a row is as high as its tallest tile; labels on the left; captions below.

    Blocks of several rows stand apart.
    """
    rows = [row for block in blocks for row in block]
    font = ImageFont.load_default(SIZE)
    cell = max(tile.width for row in rows for tile in row.tiles)
    margin = max((math.ceil(font.getlength(row.label)) + 3 * GAP for row in rows if row.label), default=0)
    tiles: list[Tile] = []
    words: list[Words] = []
    top = GAP
    for number, row in enumerate(rows):
        if number and len(blocks[0]) > 1 and number % len(blocks[0]) == 0:
            top += 2 * GAP
        height, below = max(tile.height for tile in row.tiles), 20 if any(row.captions) else 0
        if row.label:
            words.append(Words(margin - GAP, top + height // 2, row.label, "end"))
        for i, (tile, caption) in enumerate(zip(row.tiles, row.captions, strict=True)):
            left = margin + GAP + i * (cell + GAP)
            tiles.append(Tile(left, top, tile))
            if caption:
                middle = (left + cell // 2, top + height + below // 2)
                words.append(Words(*middle, _fitted(caption, cell, font), "middle"))
        top += height + below + GAP
    return Figure(margin + GAP + max(len(row.tiles) for row in rows) * (cell + GAP), top, tiles, words)


def _fitted(text: str, width: int, font: ImageFont.ImageFont | ImageFont.FreeTypeFont) -> str:
    """The text, cut off where it would run into its neighbour."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "..") > width:
        text = text[:-1]
    return text + ".."
