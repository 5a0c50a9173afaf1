"""The embedded data set: cartoon faces, generated on the fly and exact at any resolution.

A face is a function of continuous coordinates that a seed picks; its pixels are averages over their areas. So a render
at any resolution has a truth to be compared with. The labels are kinds of hair.

    images = draw_faces(torch.arange(64), (32, 32))  # (64, 3, 32, 32) in [0, 1]
"""

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from inrkit import DrawnSignals, Grid, UsageError
from inrkit_image.embedded.ellipses import coverage, edges, monomials
from inrkit_image.embedded.layers import COLOURS, layers
from inrkit_image.embedded.portrait import CLASS_NAMES, Portrait, describe, face_labels

# Seeds of a split start here and are consecutive, so that splits share no face.
SPLITS = {"train": 0, "test": 1 << 40}

# Ellipses times samples drawn at once: what stays in a processor's cache; and faces described at once.
_AT_ONCE = 1 << 18
_DESCRIBED = 2048


def draw_faces(seeds: Tensor, size: tuple[int, int], *, supersample: int = 2) -> Tensor:
    """(B,) int64 -> (B, 3, H, W) float32 in [0, 1], on the device of ``seeds``; ``size`` is (H, W).

    A pure function of each seed: neither the batch nor a global random state matters. Each pixel is the mean over its
    area, from ``supersample`` squared samples with analytic edges. The face fills the shorter side.
    """
    if min(size) < 1 or supersample < 1:
        raise UsageError(f"'size' and 'supersample' must be at least 1 (got {tuple(size)} and {supersample}).")
    images = torch.empty(len(seeds), 3, *size, device=seeds.device)
    for start in range(0, len(seeds), _DESCRIBED):
        block = slice(start, start + _DESCRIBED)
        _draw(describe(seeds[block]), images[block], supersample)
    return images


@final
class EmbeddedFaces(DrawnSignals):
    """``count`` faces of a split, drawn when they are first read and kept as bytes; splits have no face in common."""

    def __init__(self, split: str, count: int, size: tuple[int, int]) -> None:
        super().__init__("procedural faces", count, size, CLASS_NAMES)
        self._first = SPLITS[split]

    def at(self, numbers: Sequence[int], where: Grid) -> Tensor | None:
        if where.index is not None or where.jitter is not None:
            return None
        return draw_faces(self._seeds(numbers), (where.size[0], where.size[1]))

    def labels(self, numbers: Sequence[int]) -> Tensor:
        return face_labels(self._seeds(numbers))

    def stored(self, values: Tensor) -> Tensor:
        return (values * 255).round().to(torch.uint8)

    def _seeds(self, numbers: Sequence[int]) -> Tensor:
        return torch.as_tensor(numbers, dtype=torch.int64) + self._first


def _draw(portrait: Portrait, images: Tensor, supersample: int) -> None:
    """Fill ``images`` (B, 3, H, W), a few faces and a band of rows at a time."""
    count, _, height, width = images.shape
    per_row = len(portrait.names) * supersample**2 * width
    band = max(1, min(height, _AT_ONCE // per_row))
    faces = max(1, _AT_ONCE // (per_row * band))
    for top in range(0, height, band):
        rows = range(top, min(top + band, height))
        grid, sample = monomials(rows, (height, width), supersample, images.device)
        values, slopes = edges(portrait.forms, portrait.soft, sample)
        for start in range(0, count, faces):
            block = slice(start, min(start + faces, count))
            inside = coverage(values[block], slopes[block], grid)
            soft = inside[:, portrait.hard :]
            # the fading ones get a smooth step instead of a ramp
            soft.copy_(soft * soft * (3 - 2 * soft) * portrait.opacity[block, portrait.hard :, None])
            samples = torch.bmm(portrait.colours[block].mT, _weights(inside, portrait.names))  # (b, 3, P)
            shape = (-1, 3, supersample**2, len(rows), width)
            images[block, :, top : rows.stop] = samples.view(shape).mean(2).clamp_(0, 1)


def _weights(inside: Tensor, names: tuple[str, ...]) -> Tensor:
    """(b, K, P) coverage of the ellipses -> (b, L, P), how much of each layer is seen: the layers' weights sum to 1."""
    at = {name: i for i, name in enumerate(names)}
    seen, left = inside.new_empty(inside.shape[0], len(COLOURS), inside.shape[2]), torch.ones_like(inside[:, 0])
    for i, (alpha, _) in enumerate(layers(lambda name: inside[:, at[name]])):
        torch.mul(left, alpha, out=seen[:, i])
        left.sub_(seen[:, i])
    return seen
