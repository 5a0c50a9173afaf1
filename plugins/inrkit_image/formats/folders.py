"""Folders and archives of image files."""

from collections.abc import Sequence
from typing import ClassVar, Literal, final

import attrs
import numpy as np

from inrkit import FilesImporter, FilesOptions, option
from inrkit_image.formats.decode import SUFFIXES, Decoding, decode, looks_like_image, with_channels
from inrkit_image.formats.split import ShapeOptions


@final
@attrs.frozen(kw_only=True)
class FolderOptions(FilesOptions, ShapeOptions):
    """Folders and archives of image files."""

    labels: Literal["none", "auto", "folder", "name"] = option(
        "auto",
        "source of class labels: the folder (auto: if all images lie in subfolders), or the name up to the first _",
    )
    background: tuple[int, int, int] = option((255, 255, 255), "colour behind transparent pixels, as R,G,B")

    def decoding(self) -> Decoding:
        return attrs.evolve(super().decoding(), background=self.background)


@final
class ImagesImporter(FilesImporter):
    """PNG, JPEG, WebP, GIF and BMP files, (H, W, C) each."""

    name, summary = "images", "a folder, a tar or a zip archive of images, or one image"
    modality, array, suffixes = "image", "images", SUFFIXES
    Options: ClassVar[type] = FolderOptions

    def decode(self, data: bytes, options: FolderOptions) -> np.ndarray:
        return decode(data, options.decoding())

    def recognise(self, head: bytes) -> bool:
        return looks_like_image(head)

    def size_of(self, signal: np.ndarray) -> tuple[int, ...]:
        return signal.shape[:2]

    def stack(self, signals: Sequence[np.ndarray], options: FolderOptions) -> np.ndarray:
        """One coloured image makes all RGB, and one of 16 bits makes all uint16."""
        channels = options.channels or ("rgb" if any(image.shape[-1] == 3 for image in signals) else "grey")
        deep = any(image.dtype == np.uint16 for image in signals)
        shape = (len(signals), *signals[0].shape[:2], 3 if channels == "rgb" else 1)
        stack = np.empty(shape, np.uint16 if deep else np.uint8)
        for row, signal in zip(stack, signals, strict=True):
            image = with_channels(signal, channels)
            row[:] = image.astype(np.uint16) * 257 if deep and image.dtype == np.uint8 else image
        return stack
