"""Contact sheets: many small pictures on one PNG, enlarged by whole numbers so that every value stays visible.

Pictures are tensors (N, 3, H, W) or (3, H, W) in [0, 1]. A PNG holds what is drawn and nothing else: no text chunks,
no time, no name of a machine.
"""

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from inrkit.errors import UsageError
from inrkit.storage import atomic

LEAST = 96
"""The longer side of a tile is at least this many dots."""
GAP = 4
WHITE = (255, 255, 255, 255)
CLEAR = (0, 0, 0, 0)
_INK = (124, 124, 124, 255)  # legible on white and on black


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
    whole = _row_of(pictures, captions)
    columns = columns or columns_for(len(pictures))
    parts = [slice(start, start + columns) for start in range(0, len(pictures), columns)]
    return _compose([_Row(whole.tiles[part], whole.captions[part]) for part in parts], paper)


def labelled_rows(rows: Mapping[str, Tensor], *, captions: Sequence[str] | None = None) -> Image.Image:
    """One row for each entry (N, 3, H, W), its name on the left; ``captions`` stand below the last row."""
    last = list(rows)[-1]
    return _compose([_row_of(p, captions if label == last else None, label) for label, p in rows.items()], WHITE)


def _row_of(pictures: Tensor, captions: Sequence[str] | None, label: str = "") -> _Row:
    tiles = [to_image(picture, scale_for(*pictures.shape[2:])) for picture in pictures]
    texts = [""] * len(tiles) if captions is None else list(captions)
    if len(texts) != len(tiles):
        raise UsageError(f"a sheet needs as many captions as pictures, {len(tiles)} (got {len(texts)})")
    return _Row(tiles, texts, label)


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


def _compose(rows: Sequence[_Row], paper: tuple[int, int, int, int]) -> Image.Image:
    """Cells of one width; a row is as high as its tallest tile; labels on the left; captions below."""
    font = ImageFont.load_default(13)
    cell = max(tile.width for row in rows for tile in row.tiles)
    margin = max((math.ceil(font.getlength(row.label)) + 3 * GAP for row in rows if row.label), default=0)
    heights = [max(tile.height for tile in row.tiles) for row in rows]
    texts = [20 if any(row.captions) else 0 for row in rows]
    width = margin + GAP + max(len(row.tiles) for row in rows) * (cell + GAP)
    canvas = Image.new("RGBA", (width, GAP + sum(heights) + sum(texts) + GAP * len(rows)), paper)
    draw = ImageDraw.Draw(canvas)
    top = GAP
    for row, height, text in zip(rows, heights, texts, strict=True):
        if row.label:
            draw.text((margin - GAP, top + height // 2), row.label, _INK, font, anchor="rm")
        for i, (tile, caption) in enumerate(zip(row.tiles, row.captions, strict=True)):
            left = margin + GAP + i * (cell + GAP)
            canvas.paste(tile, (left, top))
            if caption:
                middle = (left + cell // 2, top + height + text // 2)
                draw.text(middle, _fitted(caption, cell, font), _INK, font, anchor="mm")
        top += height + text + GAP
    return canvas


def _fitted(text: str, width: int, font: ImageFont.ImageFont | ImageFont.FreeTypeFont) -> str:
    """The text, cut off where it would run into its neighbour."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "..") > width:
        text = text[:-1]
    return text + ".."
