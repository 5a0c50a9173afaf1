"""Masks for edits: letters as cells of a grid, and the size of a picture file."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_ORIENTATION = 0x0112  # EXIF; from 5 on, the camera was held upright


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


def picture_size(path: Path) -> tuple[int, int] | None:
    """Height and width of a picture file as it is looked at; None for what is none."""
    try:
        with Image.open(path) as picture:
            upright = picture.getexif().get(_ORIENTATION, 1) >= 5
            return (picture.width, picture.height) if upright else (picture.height, picture.width)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
