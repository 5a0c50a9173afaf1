"""Masks for edits: letters as cells of a grid, and pictures as image editors write them."""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from inrkit.errors import DataError
from inrkit.storage.fileerror import require_ordinary

_MOST = 89_478_485  # pixels, as of other pictures
_MIDDLE = 128
_COLOURS = 32  # what is painted has fewer than a photo has
_EXPECTED = "a picture or an .npy array as a mask"


def letters(text: str, height: int, width: int) -> np.ndarray:
    """True where the letters are, as large as fit in the middle of (height, width) cells."""
    for points in range(4 * max(height, width), 3, -1):
        font = ImageFont.load_default(points)
        left, top, right, bottom = font.getbbox(text)
        if right - left <= width - 2 and bottom - top <= height - 2:
            break
    picture = Image.new("L", (width, height), 0)
    place = ((width - right - left) / 2, (height - bottom - top) / 2)
    ImageDraw.Draw(picture).text(place, text, 255, font)
    return np.array(picture) > 100


def read_mask(path: Path) -> tuple[np.ndarray, str]:
    """True where a picture marks something, (H, W), or an .npy array, (*size), and in words how it was read.

    Without transparency, or with the same of it everywhere: where it is bright. Painted on a transparent layer: where
    it is painted, or where white is, if black is too. A photo with a part erased: where it is transparent.
    """
    try:
        require_ordinary(path, _EXPECTED)
        if path.suffix.lower() == ".npy":
            return _array(path), "what is not 0"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of size, which is judged here
            with Image.open(path) as opened:
                if opened.width * opened.height > _MOST:
                    raise DataError(f"{path}: expected a mask of at most {_MOST} pixels, found more")
                picture = ImageOps.exif_transpose(opened)
                colours = np.asarray(picture.convert("RGBA"))
                grey = _grey(picture)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: expected {_EXPECTED}, found something else") from error
    painted, bright = colours[..., 3] >= _MIDDLE, grey >= _MIDDLE
    if painted.all() or not painted.any():
        return bright & painted, "what is white"
    if len(np.unique(colours[painted][:, :3], axis=0)) > _COLOURS:
        return ~painted, "what is erased"
    if bright[painted].any() and not bright[painted].all():
        return painted & bright, "what is white"
    return painted, "what is painted"


def _array(path: Path) -> np.ndarray:
    found = np.load(path, mmap_mode="r", allow_pickle=False)
    if found.dtype.kind not in "biuf" or found.size > _MOST:
        raise DataError(f"{path}: expected an array of at most {_MOST} numbers, found {found.dtype} {found.shape}")
    marked: np.ndarray = found != 0
    return marked


def _grey(picture: Image.Image) -> np.ndarray:
    """Brightness from 0 to 255; of 16 bits, which Pillow would clip, the upper ones."""
    if picture.mode.startswith("I"):
        return np.asarray(picture).astype(np.int64) >> 8
    return np.asarray(picture.convert("RGB").convert("L"))
