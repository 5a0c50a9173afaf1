"""Importers of data sets that come as a training and a test set."""

import abc
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Literal, final

import attrs
import numpy as np

from inrkit import Importer, Progress, StoreWriter, at_least, open_entries, option
from inrkit_image.formats.decode import Decoding, conform
from inrkit_image.formats.folders import ImagesImporter, ShapeOptions

_TEST = re.compile(r"(^|[^a-z])(test|t10k)")  # test_batch, test/cat/1.png, x_test.npy, t10k-images-idx3-ubyte


Split = Literal["train", "test"]


@final
@attrs.frozen(kw_only=True)
class SplitOptions(ShapeOptions):
    """Data sets that come as a training and a test set."""

    limit: int | None = option(None, "maximum number of images, spread evenly over the source", at_least(1))
    split: Literal["all", "train", "test"] = option("all", "split to import; all keeps the two apart")


@final
@attrs.frozen(eq=False)
class Part:
    """The training or the test images of a data set.

    Args:
        images: Makes an iterator over those that are wanted, (n, H, W, C) at a time.
        count: How many those are.
        labels: Of those, (count,), if they have any.
        class_names: Of the labels.
    """

    images: Callable[[], Iterator[np.ndarray]]
    count: int
    labels: np.ndarray | None = None
    class_names: Sequence[str] = ()


class SplitImporter(Importer, abc.ABC):
    """Imports one part, or one after the other, with an array ``split`` of 0 (train) and 1 (test)."""

    modality = "image"
    Options: ClassVar[type] = SplitOptions

    @abc.abstractmethod
    def part(self, source: Path, split: Split, options: SplitOptions) -> Part:
        """One part, with the options applied to it."""

    def run(self, source: Path, out: StoreWriter, options: SplitOptions, progress: Progress) -> None:
        splits = [options.split] if options.split != "all" else _splits(source)
        parts = [self.part(source, split, options) for split in splits]
        out.attributes.update({"title": source.name, "format": self.name})
        labelled = all(part.labels is not None for part in parts)
        if labelled:
            out.attributes["class_names"] = list(parts[0].class_names)
        files, form = ImagesImporter(), tuple[int, ...]()
        for split, part in zip(splits, parts, strict=True):
            done = 0
            for images in part.images():
                rows = slice(done, done + len(images))
                beside = {"labels": part.labels[rows].astype(np.int64)} if labelled and part.labels is not None else {}
                if len(parts) > 1:
                    beside["split"] = np.full(len(images), split == "test", np.uint8)
                form, done = files.append(out, images, beside, form), rows.stop
                progress(done, part.count, f"{split} images")


def _splits(source: Path) -> list[Split]:
    """The parts that a source seems to have, by the names within; a single file is one part, whatever its name."""
    with open_entries(source) as entries:
        test = [bool(_TEST.search(entry.lower())) for entry in entries.names()]
    return ["train", "test"] if any(test) and not all(test) else ["test"] if all(test) and len(test) > 1 else ["train"]


def chosen(count: int, options: SplitOptions) -> np.ndarray:
    """The numbers of the images that are wanted, spread evenly, ascending."""
    kept = count if options.limit is None else min(options.limit, count)
    return np.arange(kept) * count // kept


def conformed(pieces: Iterator[np.ndarray], wanted: np.ndarray, how: Decoding) -> Iterator[np.ndarray]:
    """Those images that are wanted, by ascending numbers, of all (n, H, W, C) at a time; in their size and channels."""
    start = 0
    for piece in pieces:
        low, high = np.searchsorted(wanted, [start, start + len(piece)])
        if low < high:
            yield np.stack([conform(image, how) for image in piece[wanted[low:high] - start]])
        start += len(piece)


def part_of(
    pieces: Callable[[], Iterator[np.ndarray]],
    count: int,
    labels: np.ndarray | None,
    options: SplitOptions,
    class_names: Sequence[str] = (),
) -> Part:
    """The part that these images (n, H, W, C) at a time make, ``count`` in all; classes without names are numbered."""
    wanted, how = chosen(count, options), options.decoding()
    if labels is not None:
        class_names = class_names or [str(i) for i in range(int(labels.max()) + 1)]
        labels = labels[wanted]
    return Part(lambda: conformed(pieces(), wanted, how), len(wanted), labels, class_names)
