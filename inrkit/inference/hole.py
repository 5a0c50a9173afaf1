"""What an edit is to fill in: boxes, letters and masks on the grid of a file, and on that of the model."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from inrkit.core.modality import Original
from inrkit.core.resolution import shown_size
from inrkit.drawing.mask import letters, read_mask
from inrkit.errors import UsageError

_AXES = ("X,W", "X,Y,W,H", "X,Y,Z,W,H,D")
_POOLS = (F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d)


def box_hole(size: Sequence[int], text: str) -> Tensor:
    """True in a box (*size). The text has, for each axis as people order them (width before height), where the box
    begins, and then how long it is: "8,4,16,10"."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 2 * len(size) or not all(part.isdecimal() for part in parts):
        what = f"{2 * len(size)} numbers, where it begins and how long it is along each axis"
        raise UsageError(f"'box' is {_AXES[len(size) - 1]}: {what} (got '{text}')")
    numbers = [int(part) for part in parts]
    begins, lengths = (list(reversed(part)) for part in (numbers[: len(size)], numbers[len(size) :]))
    inside = tuple(slice(begin, begin + length) for begin, length in zip(begins, lengths, strict=True))
    if any(part.start == part.stop or part.stop > n for part, n in zip(inside, size, strict=True)):
        raise UsageError(f"the box must lie within the signal, {shown_size(size)} (got '{text}')")
    hole = torch.zeros(*size, dtype=torch.bool)
    hole[inside] = True
    return hole


def text_hole(size: Sequence[int], text: str) -> Tensor:
    """True where letters as large as fit are, (H, W)."""
    if len(size) != 2:
        raise UsageError(f"a text needs signals of two axes (got {len(size)}); give a box or a mask")
    height, width = size
    if not text.strip():
        raise UsageError("the text must have letters (got none)")
    hole = torch.from_numpy(letters(text, height, width))
    if not hole.any():
        raise UsageError(f"the text leaves no mark on {shown_size(size)} cells (got '{text}')")
    return hole


def mask_hole(original: Original, size: Sequence[int], path: Path, name: str) -> tuple[Tensor, str]:
    """True where a mask marks what is to be filled in, on the grid of the original, and in words how it was read.

    The mask is as large as the original, or as what the model sees of it, ``size``; axes of length 1 do not count.
    """
    found, how = read_mask(path)
    hole = torch.from_numpy(found)
    if _long(hole.shape) == _long(original.size):
        return hole.reshape(original.size), how
    if _long(hole.shape) != _long(size):
        also = "" if original.size == tuple(size) else f", or {shown_size(original.size)} like {name}"
        kind = "" if hole.ndim != 2 or len(_long(size)) == 2 else "; such a mask is an .npy array"
        raise UsageError(f"{path}: the mask must be {shown_size(size)}{also} (got {shown_size(hole.shape)}){kind}")
    whole = torch.zeros(original.size, dtype=torch.bool)
    seen = tuple(original.seen.shape[1:])
    cells = hole.reshape(1, 1, *size).float()
    whole[original.part] = F.interpolate(cells, seen, mode="nearest-exact")[0, 0] > 0
    return whole, how


def cells_of(hole: Tensor, original: Original, size: Sequence[int]) -> Tensor:
    """A hole on the grid of a file as cells of the model's grid: those that it touches."""
    outside = hole.clone()
    outside[original.part] = False
    if outside.any():
        seen = shown_size(original.seen.shape[1:])
        raise UsageError(
            f"what is to be filled in reaches out of the centre of the input, {seen}, which is what the model sees; "
            "crop the input first"
        )
    cells: Tensor = _POOLS[len(size) - 1](hole[original.part][None, None].float(), tuple(size))[0, 0] > 0
    return cells


def _long(size: Sequence[int]) -> list[int]:
    return [n for n in size if n != 1]
