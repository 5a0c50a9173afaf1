"""What every importer of images takes and returns."""

from collections.abc import Sequence
from typing import Literal

import attrs
import numpy as np

from inrkit import UsageError
from inrkit_image.formats.decode import Decoding


@attrs.frozen(eq=False)
class ImportedImages:
    """Images (N, H, W, C) uint8, uint16 or float32 in [0, 1]; labels (N,) int64 or none; where each image came from."""

    images: np.ndarray
    labels: np.ndarray | None
    names: tuple[str, ...]
    class_names: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


@attrs.frozen
class ImportOptions:
    """How to import. Each importer heeds those options that mean something for its format.

    ``decoding``: size, channels, background. ``split``: "train" or "test", where a source has both. ``inside``: a
    folder within the source. ``labels``: are folders classes? If None, when all images lie in some.
    ``skip_broken``: leave out what cannot be read, instead of stopping. ``limit``: at most so many, spread evenly.
    """

    decoding: Decoding = attrs.Factory(Decoding)
    split: Literal["train", "test"] = "train"
    inside: str | None = None
    labels: bool | None = None
    skip_broken: bool = False
    limit: int | None = None

    def __attrs_post_init__(self) -> None:
        if self.split not in ("train", "test"):
            raise UsageError(f"'split' must be 'train' or 'test' (got '{self.split}').")
        if self.limit is not None and self.limit < 1:
            raise UsageError(f"'limit' must be at least 1 (got {self.limit}).")


DEFAULTS = ImportOptions()


def spread(count: int, limit: int | None) -> Sequence[int]:
    """At most ``limit`` of ``count`` positions, evenly spread, so that sorted classes keep their shares."""
    if limit is None or limit >= count:
        return range(count)
    return [i * count // limit for i in range(limit)]
