"""Where images come from: the embedded faces, or a store; and the way from pixels to values and back."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

import torch
from kornia.geometry.transform import resize as kornia_resize
from torch import Tensor

from inrkit import DataError, Signals, Source, Store
from inrkit_image.faces import CLASS_NAMES, Faces
from inrkit_image.options import ImageOptions

HELD_OUT = 2000
"""Embedded images of the test split; and at most so many of a store that has no test split of its own."""


def to_values(pixels: Tensor) -> Tensor:
    """Pixels, uint8 or uint16 or floats in [0, 1], to values in [-1, 1]."""
    if pixels.is_floating_point():
        return pixels.float() * 2 - 1
    return pixels.float() / (127.5 if pixels.dtype == torch.uint8 else 32767.5) - 1


def to_unit(values: Tensor) -> Tensor:
    """Values to [0, 1], what lies outside cut off."""
    return (values + 1).mul(0.5).clamp(0, 1)


def resize(values: Tensor, size: tuple[int, int]) -> Tensor:
    """Values (B, C, H, W) at another size; what is made smaller is smoothed first."""
    if tuple(values.shape[-2:]) == size:
        return values
    smaller = size[0] < values.shape[-2] or size[1] < values.shape[-1]
    resized: Tensor = kornia_resize(values, size, interpolation="bicubic", antialias=smaller, align_corners=False)
    return resized.clamp(-1, 1)


def open_source(data: Path | None, split: str, options: ImageOptions) -> Source:
    """The embedded set without ``data``, else the store in that file."""
    if data is None:
        return EmbeddedFaces(split, options.count if split == "train" else HELD_OUT, options.query_size or options.size)
    return StoredImages(data, split)


@final
class EmbeddedFaces(Source):
    """Procedural faces, drawn when they are first read and kept as uint8."""

    def __init__(self, split: str, count: int, size: tuple[int, int] | None) -> None:
        self._faces = Faces(split, count, size or (32, 32))
        self._drawn: dict[int, Tensor] = {}

    def __len__(self) -> int:
        return len(self._faces)

    def read(self, numbers: Sequence[int]) -> Signals:
        index = torch.as_tensor(numbers, dtype=torch.int64)
        missing = sorted(set(index.tolist()) - self._drawn.keys())
        if missing:
            images = (self._faces.images(torch.tensor(missing)) * 255).round().to(torch.uint8)
            self._drawn.update(zip(missing, images, strict=True))
        values = torch.stack([self._drawn[n] for n in index.tolist()])
        return {"values": values, "label": self._faces.labels(index)}

    def truth(self, numbers: Sequence[int], size: tuple[int, int]) -> Signals:
        """The same images at any other size, exactly."""
        index = torch.as_tensor(numbers, dtype=torch.int64)
        return {"values": self._faces.images(index, size), "label": self._faces.labels(index)}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_drawn": {}}

    @property
    def facts(self) -> Mapping[str, Any]:
        return {
            "title": "procedural faces",
            "count": len(self),
            "channels": 3,
            "size": list(self._faces.size),
            "classes": len(CLASS_NAMES),
            "class_names": list(CLASS_NAMES),
        }


@final
class StoredImages(Source):
    """Images of a store file.

    A store that says which images are for testing (array ``split``, 0 train and 1 test) is divided so; otherwise every
    tenth image, and at most `HELD_OUT` of them, are held out.
    """

    def __init__(self, path: Path, split: str) -> None:
        self._store = Store(path)
        if self._store.modality != "image":
            raise DataError(f"{path}: expected a store of modality 'image', found '{self._store.modality}'")
        count = len(self._store)
        if "split" in self._store.names:
            marks = torch.from_numpy(self._store.read("split", slice(0, count)))
            chosen = marks == (0 if split == "train" else 1)
        else:
            every = max(10, -(-count // HELD_OUT))
            held_out = torch.arange(count) % every == every - 1
            chosen = held_out if split == "test" else ~held_out
        self._numbers = chosen.nonzero().squeeze(1)
        if not len(self._numbers):
            raise DataError(f"{path}: no images for '{split}' among its {count}; at least 10 images are needed")

    def __len__(self) -> int:
        return len(self._numbers)

    def read(self, numbers: Sequence[int]) -> Signals:
        index = self._numbers[torch.as_tensor(numbers, dtype=torch.int64)].tolist()
        images = torch.from_numpy(self._store.read("images", index)).movedim(-1, 1)
        if "labels" not in self._store.names:
            return {"values": images}
        return {"values": images, "label": torch.from_numpy(self._store.read("labels", index)).long()}

    @property
    def facts(self) -> Mapping[str, Any]:
        height, width, channels = self._store.shape("images")[1:]
        names = list(self._store.attributes.get("class_names", []))
        return {
            "title": self._store.attributes.get("title", ""),
            "count": len(self),
            "channels": channels,
            "size": [height, width],
            "classes": len(names),
            "class_names": names,
        }
