"""How images come to one shape, and importers of data sets that come as a training and a test set."""

import abc
import functools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal, final

import attrs
import numpy as np

from inrkit import Imported, Importer, Progress, at_least, open_entries, option, parse_size
from inrkit_image.formats.decode import Decoding, conform

_TEST = re.compile(r"(^|[^a-z])(test|t10k)")  # test_batch, test/cat/1.png, x_test.npy, t10k-images-idx3-ubyte


Split = Literal["train", "test"]


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
class SplitOptions(ShapeOptions):
    """Data sets that come as a training and a test set."""

    limit: int | None = option(None, "maximum number of images, spread evenly over the source", at_least(1))
    split: Literal["all", "train", "test"] = option("all", "split to import; all keeps the two apart")


class SplitImporter(Importer, abc.ABC):
    """Imports one part, or one after the other, with an array ``split`` of 0 (train) and 1 (test)."""

    modality = "image"
    Options: ClassVar[type] = SplitOptions

    @abc.abstractmethod
    def part(self, source: Path, split: Split, options: SplitOptions, progress: Progress) -> Imported:
        """The images (N, H, W, C) of one part, and labels (N,) if there are any."""

    def run(self, source: Path, options: SplitOptions, progress: Progress) -> Imported:
        splits = [options.split] if options.split != "all" else _splits(source)
        parts = [self.part(source, s, options, functools.partial(progress, what=f"{s} images")) for s in splits]
        arrays = dict(parts[0].arrays)
        if len(parts) > 1:
            both = [name for name in arrays if name in parts[1].arrays]
            arrays = {name: np.concatenate([part.arrays[name] for part in parts]) for name in both}
            arrays["split"] = np.repeat(np.array([0, 1], np.uint8), [len(part.arrays["images"]) for part in parts])
        attributes = {**parts[0].attributes, "title": source.name, "format": self.name}
        return Imported(self.modality, arrays, attributes, sum((part.skipped for part in parts), ()))


def _splits(source: Path) -> list[Split]:
    """The parts that a source seems to have, by the names within; a single file is one part, whatever its name."""
    with open_entries(source) as entries:
        test = [bool(_TEST.search(entry.lower())) for entry in entries.names()]
    return ["train", "test"] if any(test) and not all(test) else ["test"] if all(test) and len(test) > 1 else ["train"]


def assembled(
    images: np.ndarray,
    labels: np.ndarray | None,
    options: SplitOptions,
    progress: Progress,
    class_names: Sequence[str] = (),
) -> Imported:
    """(N, H, W, C) and (N,) with the options' limit, channels and size applied; classes without names are numbered."""
    count, how = len(images), options.decoding()
    kept = count if options.limit is None else min(count, options.limit)
    chosen = np.arange(kept) * count // kept
    done = []
    for number, i in enumerate(chosen, 1):
        done.append(conform(images[i], how))
        if number % 1000 == 0 or number == len(chosen):
            progress(number, len(chosen))
    arrays = {"images": np.stack(done)}
    if labels is not None:
        arrays["labels"] = labels[chosen].astype(np.int64)
        class_names = class_names or [str(i) for i in range(int(labels.max()) + 1)]
    return Imported("image", arrays, {"class_names": list(class_names)})
