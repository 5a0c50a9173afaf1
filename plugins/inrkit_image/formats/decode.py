"""Bytes of an image file to an array, by content and never by the file's name; and arrays to a common shape."""

import io
import math
import struct
import warnings
from typing import TYPE_CHECKING, Literal, final

import attrs
import numpy as np
from PIL import Image, UnidentifiedImageError

from inrkit import DataError, Entries, UsageError

if TYPE_CHECKING:
    from torch import Tensor

Channels = Literal["rgb", "grey"]

LEAST = 2
"""Pixels along each axis of a picture; one pixel has no shape that could be enlarged."""
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
EXIF_ORIENTATION = 0x0112
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".jpe", ".jfif", ".apng")


@attrs.frozen
class Decoding:
    """How images become arrays of one shape.

    ``size`` (H, W): resize the image to cover it and crop the centre; without it the size stays. ``channels``: without
    it, grey stays grey. Transparent pixels show ``background``. Images of more than ``max_pixels`` are refused unread.
    """

    size: tuple[int, int] | None = None
    channels: Channels | None = None
    background: tuple[int, int, int] = (255, 255, 255)
    max_pixels: int = 89_478_485

    def __attrs_post_init__(self) -> None:
        if self.size is not None and (len(self.size) != 2 or min(self.size) < 1):
            raise UsageError(f"'size' must be two numbers of at least 1 (got {self.size}).")
        if self.size is not None and math.prod(self.size) > self.max_pixels:
            found = f"{self.size[1]}x{self.size[0]}"
            raise UsageError(f"'size' must be at most {self.max_pixels:,} pixels in all (got {found})")
        if self.channels not in (None, "rgb", "grey"):
            raise UsageError(f"'channels' must be 'rgb' or 'grey' (got '{self.channels}').")


@final
class Tally:
    """How many pictures had to be enlarged or cropped to come to one size, as `Decoding` says."""

    def __init__(self) -> None:
        self._size: tuple[int, int] | None = None
        self._enlarged = self._cropped = 0

    def add(self, old: tuple[int, int], size: tuple[int, int]) -> None:
        """A picture of one size (H, W) that is brought to another."""
        scaled, _ = covered(old, size)
        self._size = size
        self._enlarged += scaled[0] > old[0]
        self._cropped += scaled != size

    def lines(self, count: int) -> list[str]:
        """What there is to say of so many pictures."""
        if self._size is None:
            return []
        size = f"{self._size[1]} x {self._size[0]}"
        said = ((self._enlarged, f"smaller than {size} and are enlarged"), (self._cropped, "cropped to the centre"))
        return [f"{some:,} of {count:,} images were {what}" for some, what in said if some]


def looks_like_image(head: bytes) -> bool:
    """By the first 16 bytes, for the formats that are read."""
    return (
        head.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a"))
        or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
        or (head[:2] == b"BM" and head[6:10] == b"\0\0\0\0")
    )


def decode(data: bytes, how: Decoding, tally: Tally | None = None) -> np.ndarray:
    """Bytes -> (H, W, C) uint8, or uint16 where the file has 16 bits; C is 1 or 3. Of an animation the first frame.

    ``tally`` is told what is done to the picture's size.
    """
    if len(data) >= Entries.largest:
        raise DataError(f"expected an image file, found one of more than {Entries.largest >> 20} MiB.")
    try:
        with warnings.catch_warnings():
            # what Pillow warns of, a suspicious size above all, is judged below
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                if image.width * image.height > how.max_pixels:
                    raise DataError(f"expected at most {how.max_pixels} pixels, found {image.width} x {image.height}")
                image.load()
                array = _deep_colour(data) if _is_deep_colour(data) else _array(image)
                array = _upright(array, image.getexif().get(EXIF_ORIENTATION, 1))
    except DataError:
        raise
    except Image.DecompressionBombError as error:
        raise DataError(f"expected at most {how.max_pixels} pixels, found more: {error}") from error
    except Exception as error:  # Pillow answers damage with a dozen kinds of exceptions
        unknown = "another kind of file" if data else "an empty file"
        reason = unknown if isinstance(error, UnidentifiedImageError) else f"damage: {str(error) or repr(error)}"
        raise DataError(f"expected a PNG, JPEG, WebP, GIF or BMP image, found {reason}") from error
    if min(array.shape[:2]) < LEAST:
        found = f"{array.shape[1]} x {array.shape[0]}"
        raise DataError(f"expected a picture of at least {LEAST} x {LEAST} pixels, found {found}")
    if tally is not None and how.size is not None:
        tally.add(array.shape[:2], how.size)
    return conform(array, how)


def conform(image: np.ndarray, how: Decoding) -> np.ndarray:
    """(H, W, 1, 2, 3 or 4) uint8, uint16 or float32 -> composited, in the wanted channels and size."""
    if image.shape[-1] in (2, 4):
        image = _composite(image, how.background)
    image = with_channels(image, how.channels)
    if how.size is None or image.shape[:2] == how.size:
        return image
    import torch

    pixels = torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1)[None]
    return _typed(covering(pixels, how.size)[0].permute(1, 2, 0).numpy(), image.dtype)


def with_channels(image: np.ndarray, channels: Channels | None) -> np.ndarray:
    """(..., 1 or 3) -> the wanted channels; grey is ITU-R 601 luma."""
    if channels == "rgb" and image.shape[-1] == 1:
        return np.repeat(image, 3, axis=-1)
    if channels == "grey" and image.shape[-1] == 3:
        luma = image.astype(np.float64) @ np.array([0.299, 0.587, 0.114])
        return _typed(luma[..., None], image.dtype)
    return image


def covered(old: tuple[int, int], size: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """To what (H, W) a picture is scaled to cover a size, and where its centre begins in that."""
    scale = max(size[0] / old[0], size[1] / old[1])
    height, width = (max(size[i], round(old[i] * scale)) for i in (0, 1))
    return (height, width), ((height - size[0]) // 2, (width - size[1]) // 2)


def covering(pixels: "Tensor", size: tuple[int, int]) -> "Tensor":
    """(B, C, H, W) -> (B, C, *size): scaled, without aliasing, to cover the size, and cut to its centre.

    By the filter that Pillow has too, in one pass: forty times as fast as a blur before the scaling.
    """
    if tuple(pixels.shape[2:]) == size:
        return pixels
    from torch.nn.functional import interpolate

    scaled, (top, left) = covered((pixels.shape[2], pixels.shape[3]), size)
    found = interpolate(pixels, scaled, mode="bilinear", antialias=True)
    return found[:, :, top : top + size[0], left : left + size[1]]


def _typed(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if dtype.kind == "f":
        return values.astype(dtype)
    return values.round().clip(0, np.iinfo(dtype).max).astype(dtype)


def _composite(image: np.ndarray, background: tuple[int, int, int]) -> np.ndarray:
    """(H, W, 2 or 4) over a colour -> (H, W, 1 or 3)."""
    full = 1.0 if image.dtype.kind == "f" else np.iinfo(image.dtype).max
    below = np.array(background) * (full / 255)
    if image.shape[-1] == 2:
        # on a coloured background grey becomes colour
        grey = len(set(background)) == 1
        image = np.concatenate([image[..., :1].repeat(1 if grey else 3, -1), image[..., 1:]], -1)
        below = below[: image.shape[-1] - 1]
    alpha = image[..., -1:].astype(np.float64) / full
    return _typed(image[..., :-1] * alpha + below * (1 - alpha), image.dtype)


def _array(image: Image.Image) -> np.ndarray:
    """Any of Pillow's modes -> (H, W, 1 to 4) uint8 or uint16."""
    if image.mode.startswith("I"):
        array = np.asarray(image)
        return array.astype(np.int64).clip(0, 65535).astype(np.uint16)[..., None]
    if image.mode in ("1", "L"):
        mode = "LA" if "transparency" in image.info else "L"
    else:
        mode = "RGBA" if image.has_transparency_data else "RGB"
        mode = "LA" if image.mode == "LA" else mode
    array = np.asarray(image.convert(mode))
    return array[..., None] if array.ndim == 2 else array


def _is_deep_colour(data: bytes) -> bool:
    """A PNG of 16 bits in colour, which Pillow would cut down to 8."""
    return data[:8] == b"\x89PNG\r\n\x1a\n" and len(data) > 26 and data[24] == 16 and data[25] in (2, 6)


def _deep_colour(data: bytes) -> np.ndarray:
    """(H, W, 3 or 4) uint16; Pillow has found the file intact already."""
    from kornia_rs.io import decode_image_png_u16

    width, height = struct.unpack(">II", data[16:24])
    return np.asarray(decode_image_png_u16(data, (height, width), "rgb" if data[25] == 2 else "rgba"))


def _upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """Undoes the rotation that a camera noted in the file, by EXIF orientation."""
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return np.ascontiguousarray(array)
