"""Folders and archives of image files."""

from pathlib import Path
from typing import ClassVar, Literal, final

import attrs
import numpy as np

from inrkit import FilesImporter, FilesOptions, Progress, StoreWriter, option, parse_size
from inrkit_image.formats.decode import SUFFIXES, Decoding, Tally, decode, looks_like_image, with_channels


@attrs.frozen(kw_only=True, slots=False)  # one of two bases of FolderOptions
class ShapeOptions:
    """How images come to one shape."""

    size: str | None = option(None, "resize to cover WIDTHxHEIGHT, such as 64x64, and crop the centre")
    channels: Literal["rgb", "grey"] | None = option(None, "convert all images to rgb or grey")

    def decoding(self) -> Decoding:
        if self.size is None:
            return Decoding(channels=self.channels)
        height, width = parse_size(self.size, 2)
        return Decoding(size=(height, width), channels=self.channels)


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

    def __init__(self) -> None:
        self._tally = Tally()

    def run(self, source: Path, out: StoreWriter, options: FolderOptions, progress: Progress) -> None:
        super().run(source, out, options, progress)
        out.remarks += self._tally.lines(len(out))

    def decode(self, data: bytes, options: FolderOptions) -> np.ndarray:
        return decode(data, options.decoding(), self._tally)

    def recognise(self, head: bytes) -> bool:
        return looks_like_image(head)

    def size_of(self, signal: np.ndarray) -> tuple[int, ...]:
        return signal.shape[:2]

    def form(self, signals: np.ndarray) -> tuple[int, int]:
        """Channels, and bytes of each: one coloured image makes all RGB, and one of 16 bits makes all uint16."""
        return signals.shape[-1], signals.dtype.itemsize

    def in_form(self, signals: np.ndarray, form: tuple[int, ...]) -> np.ndarray:
        channels, width = form
        images = with_channels(signals, "rgb") if channels == 3 else signals
        return images.astype(np.uint16) * 257 if width == 2 and images.dtype == np.uint8 else images
