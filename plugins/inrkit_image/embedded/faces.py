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
from inrkit_image.embedded.ellipses import Canvas, coverage
from inrkit_image.embedded.layers import layers
from inrkit_image.embedded.patch import Patch, common
from inrkit_image.embedded.portrait import CLASS_NAMES, Portrait, describe, face_labels

# Seeds of a split start here and are consecutive, so that splits share no face.
SPLITS = {"train": 0, "test": 1 << 40}

_AT_ONCE = 1 << 18  # samples, of a band of rows in some faces: what stays in a processor's cache
_TOGETHER = 64  # faces, where a picture is too large for that to hold all of its rows
_DESCRIBED = 2048  # faces described at once


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
    """Fill ``images`` (B, 3, H, W), some faces and a band of rows at a time.

    Faces that have the same rare parts lie side by side, so that a part is drawn for little more than those with it.
    """
    count, _, height, width = images.shape
    per_row = supersample**2 * width
    band = max(1, min(height, _AT_ONCE // (per_row * min(count, _TOGETHER))))
    faces = max(1, _AT_ONCE // (per_row * band))
    seen, _ = Canvas(range(height), (height, width), supersample, images.device).windows(portrait.ellipses)
    rarest_last = seen[seen.sum(1).argsort(descending=True)].long()
    order = (rarest_last << torch.arange(len(seen), device=seen.device)[:, None]).sum(0).argsort()
    for block in order.split(faces):
        alike = portrait.of(block)
        for top in range(0, height, band):
            rows = range(top, min(top + band, height))
            canvas = Canvas(rows, (height, width), supersample, images.device)
            pixels = _mean(_painted(alike, canvas), supersample).clamp_(0, 1)
            images[block, :, top : rows.stop] = pixels.permute(3, 0, 1, 2)


def _mean(samples: Tensor, size: int) -> Tensor:
    """(C, s h, s w, B) -> (C, h, w, B): over blocks of size s."""
    parts = [samples[:, i::size, j::size] for i in range(size) for j in range(size)]
    total = parts[0].clone()
    for part in parts[1:]:
        total += part
    return total.div_(size**2)


def _painted(portrait: Portrait, canvas: Canvas) -> Tensor:
    """(3, h, w, B): the colours of the samples, layer by layer from front to back."""
    _, windows = canvas.windows(portrait.ellipses)
    polynomials = portrait.ellipses.polynomials(canvas.step)
    at = {name: i for i, name in enumerate(portrait.names)}

    def part(name: str, within: Patch | None = None) -> Patch:
        k = at[name]
        window = windows[k] if within is None else common(windows[k], within.window)
        rows, columns, faces = window
        if any(span.stop == span.start for span in window):
            return Patch(window, left[window])
        cover = coverage(polynomials[:, :, k, faces], canvas.x[columns], canvas.y[rows])
        if k >= portrait.hard:  # a smooth step instead of a ramp
            cover = (3 - 2 * cover).mul_(cover).mul_(cover).mul_(portrait.ellipses.opacity[k, faces])
        return Patch(window, cover)

    shape = (len(canvas.y), len(canvas.x), portrait.colours.shape[2])
    left, image = portrait.colours.new_ones(shape), portrait.colours.new_zeros(3, *shape)
    for colour, (patch, _) in zip(portrait.colours, layers(part), strict=True):
        if patch is None:
            image.addcmul_(left, colour[:, None, None])
        elif not patch.empty:
            behind = left[patch.window]
            shown = behind * patch.cover
            behind.sub_(shown)
            image[:, *patch.window].addcmul_(shown, colour[:, None, None, patch.window[2]])
    return image
