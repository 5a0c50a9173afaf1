"""The readers of ``importers.py`` as importers that ``inrkit data import`` knows, each with the options it heeds."""

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, final

import attrs
import numpy as np

from inrkit import Imported, Importer, Progress, open_entries, option, parse_size
from inrkit_image.formats.importers import (
    Decoding,
    ImportedImages,
    ImportOptions,
    import_cifar10,
    import_idx,
    import_images,
    import_npz,
)

Read = Callable[[Path, ImportOptions, Progress], ImportedImages]

_TEST = re.compile(r"(^|[^a-z])(test|t10k)")  # test_batch, test/cat/1.png, x_test.npy, t10k-images-idx3-ubyte


@attrs.frozen(kw_only=True)
class ArrayOptions:
    """What every format has: how images come to one shape, and how many."""

    size: str | None = option(None, "resize to cover WIDTHxHEIGHT, such as 64x64, and crop the centre")
    channels: Literal["rgb", "grey"] | None = option(None, "convert all images to rgb or grey")
    limit: int | None = option(None, "maximum number of images, spread evenly over the source")

    def options(self, **more: Any) -> ImportOptions:
        """As the readers want them."""
        return ImportOptions(decoding=self.decoding(), limit=self.limit, **more)

    def decoding(self) -> Decoding:
        return Decoding(size=self.shape, channels=self.channels)

    @property
    def shape(self) -> tuple[int, int] | None:
        """(height, width)."""
        if self.size is None:
            return None
        height, width = parse_size(self.size, 2)
        return height, width


@final
@attrs.frozen(kw_only=True)
class FolderOptions(ArrayOptions):
    """Folders and archives of image files."""

    background: tuple[int, int, int] = option((255, 255, 255), "colour behind transparent pixels, as R,G,B")
    inside: str | None = option(None, "import only this folder of the source")
    labels: bool | None = option(None, "take folder names as class labels; by default, if all images lie in subfolders")
    skip_broken: bool = option(False, "skip files that cannot be read, instead of stopping")

    def decoding(self) -> Decoding:
        return Decoding(size=self.shape, channels=self.channels, background=self.background)


@final
@attrs.frozen(kw_only=True)
class SplitOptions(ArrayOptions):
    """Data sets that come as a training and a test set."""

    split: Literal["all", "train", "test"] = option("all", "split to import; all keeps the two apart")


@final
class ImagesImporter(Importer):
    """PNG, JPEG, WebP, GIF and BMP files."""

    name = "images"
    summary = "a folder, a tar or a zip archive of images, or one image"
    modality = "image"
    Options = FolderOptions

    def run(self, source: Path, options: FolderOptions, progress: Progress) -> Imported:
        how = options.options(inside=options.inside, labels=options.labels, skip_broken=options.skip_broken)
        return _imported(self.name, source, import_images(source, how, progress))


@final
class Cifar10Importer(Importer):
    """CIFAR-10 in any of the layouts it is passed around in."""

    name = "cifar10"
    summary = "CIFAR-10, as python batches or as folders of images"
    modality = "image"
    Options = SplitOptions

    def run(self, source: Path, options: SplitOptions, progress: Progress) -> Imported:
        return _by_split(self.name, import_cifar10, source, options, progress)


@final
class IdxImporter(Importer):
    """MNIST, Fashion-MNIST, EMNIST and their like."""

    name = "idx"
    summary = "idx files, as MNIST and Fashion-MNIST have them"
    modality = "image"
    Options = SplitOptions

    def run(self, source: Path, options: SplitOptions, progress: Progress) -> Imported:
        return _by_split(self.name, import_idx, source, options, progress)


@final
class NpzImporter(Importer):
    """Arrays of numpy."""

    name = "npz"
    summary = "an .npz file with an array of images, and labels if there are any"
    modality = "image"
    Options = SplitOptions

    def run(self, source: Path, options: SplitOptions, progress: Progress) -> Imported:
        return _by_split(self.name, import_npz, source, options, progress)


def _by_split(name: str, read: Read, source: Path, options: SplitOptions, progress: Progress) -> Imported:
    """One part as it is; or one after the other, with an array ``split`` of 0 (train) and 1 (test)."""
    splits = [options.split] if options.split != "all" else _splits(source)
    named = {split: functools.partial(progress, what=f"{split} images") for split in splits}
    parts = [read(source, options.options(split=split), named[split]) for split in splits]
    if len(parts) == 1:
        return _imported(name, source, parts[0])
    train, test = parts
    labelled = train.labels is not None and test.labels is not None
    whole = ImportedImages(
        images=np.concatenate([train.images, test.images]),
        labels=np.concatenate([train.labels, test.labels]) if labelled else None,
        names=train.names + test.names,
        class_names=train.class_names,
        skipped=train.skipped + test.skipped,
    )
    marks = np.repeat(np.array([0, 1], np.uint8), [len(train.images), len(test.images)])
    return _imported(name, source, whole, split=marks)


def _splits(source: Path) -> list[str]:
    """The parts that a source seems to have, by the names within; a single file is one part, whatever its name."""
    with open_entries(source) as entries:
        test = [bool(_TEST.search(entry.lower())) for entry in entries.names()]
    return ["train", "test"] if any(test) and not all(test) else ["test"] if all(test) and len(test) > 1 else ["train"]


def _imported(name: str, source: Path, found: ImportedImages, **more: np.ndarray) -> Imported:
    arrays = {"images": found.images, **more}
    if found.labels is not None:
        arrays["labels"] = found.labels
    attributes = {"title": source.name, "format": name, "class_names": list(found.class_names)}
    return Imported("image", arrays, attributes, found.skipped)
