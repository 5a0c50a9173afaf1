"""Images: any number of channels, any height and width, support and query at the same or at different resolutions."""

from collections.abc import Sequence
from pathlib import Path
from typing import final

import attrs
import torch
from torch import Tensor

from inrkit import Augmentation, GridModality, Source, UsageError, View
from inrkit_image.augmentation import Colour, Cutout, Warp
from inrkit_image.embedded.faces import EmbeddedFaces
from inrkit_image.formats.decode import SUFFIXES, Channels, Decoding, covered, covering, decode
from inrkit_image.formats.picture import write_image
from inrkit_image.options import PRESETS, ImageOptions

_CHANNELS: dict[int, Channels] = {1: "grey", 3: "rgb"}


@final
class ImageModality(GridModality):
    """Pixels on a grid: stores hold integers, or floats in [0, 1], with the channels last."""

    name, summary, axes = "image", "images of any size and number of channels", 2
    suffix, suffixes = ".png", SUFFIXES
    array, channels_last, held_out = "images", True, 2000
    invented_sigma = 0.5
    Options = ImageOptions
    presets = PRESETS

    options: ImageOptions

    def embedded(self, split: str, count: int, size: tuple[int, ...]) -> Source:
        return EmbeddedFaces(split, count, (size[0], size[1]))

    def values_of(self, stored: Tensor) -> Tensor:
        return stored.float() * 2 - 1 if stored.is_floating_point() else super().values_of(stored)

    def augmentations(self) -> Sequence[Augmentation]:
        o, found = self.options, [*super().augmentations()]
        if o.scale > 1 or o.rotate:
            found.append(Warp(o.scale, o.rotate))
        if o.colour:
            found.append(Colour(o.colour, self.channels))
        return [*found, Cutout(o.cutout)] if o.cutout else found

    def decode(self, data: bytes, name: str) -> Tensor:
        if self.channels not in _CHANNELS:
            raise UsageError(
                f"the model works on {self.channels} channels, which image files do not have; encode a data set"
            )
        return torch.tensor(decode(data, Decoding(channels=_CHANNELS[self.channels]))).movedim(-1, 0)

    def fit(self, stored: Tensor, size: tuple[int, ...]) -> Tensor:
        """Scaled to cover the size, and cut to its centre; in [0, 1]."""
        return covering(stored.float(), (size[0], size[1])).round() / torch.iinfo(stored.dtype).max

    def part(self, size: tuple[int, ...], target: tuple[int, ...]) -> tuple[slice, ...]:
        scaled, begins = covered((size[0], size[1]), (target[0], target[1]))
        found = []
        for n, whole, begin, kept in zip(size, scaled, begins, target, strict=True):
            length = min(n, round(kept * n / whole))
            start = min(round(begin * n / whole), n - length)
            found.append(slice(start, start + length))
        return tuple(found)

    def resize(self, values: Tensor, size: tuple[int, ...]) -> Tensor:
        """By bicubic interpolation; what is made smaller is smoothed first."""
        if tuple(values.shape[2:]) == size:
            return values
        from kornia.geometry.transform import resize as kornia_resize

        smaller = any(new < old for new, old in zip(size, values.shape[2:], strict=True))
        height, width = size
        resized: Tensor = kornia_resize(
            values, (height, width), interpolation="bicubic", antialias=smaller, align_corners=False
        )
        return resized.clamp(-1, 1)

    def pictures(self, values: Tensor) -> Tensor:
        shown = (values.float() + 1).mul(0.5).clamp(0, 1)
        return shown[:, :3] if shown.shape[1] >= 3 else shown[:, :1].expand(-1, 3, -1, -1)

    def view(self) -> View:
        rgb = "rgb" if self.channels >= 3 else "rrr"
        return attrs.evolve(super().view(), glsl=f"vec3 colour(vec4 y[OUTPUTS]) {{ return (y[0].{rgb} + 1.0) / 2.0; }}")

    def write(self, values: Sequence[Tensor], path: Path) -> Path:
        return super().write(values, path) if Path(path).suffix == ".npy" else write_image(values[0], path)

    @property
    def channels(self) -> int:
        return self.options.channels or 3
