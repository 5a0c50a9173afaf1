"""What an edit of files needs: masks by box, word or picture; files coarser than the model; results on disk."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from inrkit.core.edit.operator import ChannelMean, Operator, PatchMeans
from inrkit.core.observation import Observation
from inrkit.core.pipeline import Prediction
from inrkit.drawing.mask import letters, picture_size
from inrkit.drawing.sheet import labelled_rows, save_png
from inrkit.errors import DataError, UsageError
from inrkit.inference.model import Model
from inrkit.inference.picture import pictures_of
from inrkit.metrics.metric import psnr
from inrkit.storage import atomic
from inrkit.storage.inrfile import save_inr

_ON_SHEET = 16

# ---------------------------------------------------------------------------------------------- what is unknown


def box_hole(size: Sequence[int], text: str) -> Tensor:
    """True in a box (*size). The text has, for each axis as people order them (width before height), where the box
    begins, and then how long it is: "8,4,16,10"."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 2 * len(size) or not all(part.isdecimal() for part in parts):
        example = ",".join(["8"] * len(size) + ["4"] * len(size))
        what = f"{2 * len(size)} numbers, where it begins and how long it is"
        raise UsageError(f"'box' is {what}: {example} (got '{text}')")
    numbers = [int(part) for part in reversed(parts)]
    lengths, begins = numbers[: len(size)], numbers[len(size) :]
    inside = tuple(slice(begin, begin + length) for begin, length in zip(begins, lengths, strict=True))
    if any(part.start == part.stop or part.stop > n for part, n in zip(inside, size, strict=True)):
        raise UsageError(f"the box must lie within the signal, {_text(size)} (got '{text}')")
    hole = torch.zeros(*size, dtype=torch.bool)
    hole[inside] = True
    return hole


def text_hole(size: Sequence[int], text: str) -> Tensor:
    """True where letters as large as fit are, (H, W)."""
    height, width = _flat(size, "a text")
    if not text.strip():
        raise UsageError("the text must have letters (got none)")
    hole = torch.from_numpy(letters(text, height, width))
    if not hole.any():
        raise UsageError(f"the text leaves no mark on {_text(size)} cells (got '{text}')")
    return hole


def picture_hole(model: Model, size: Sequence[int], path: Path, original: Path) -> Tensor:
    """True where a picture is bright, (H, W).

    It has the size that the model works at, or that of the original, and is then scaled and cut as the original is.
    """
    height, width = _flat(size, "a mask")
    found, seen = picture_size(path), picture_size(original)
    if found is None:
        raise DataError(f"{path}: expected a picture for a mask, found something else")
    if found not in {(height, width), seen}:
        also = "" if seen in (None, (height, width)) else f", or {_text(seen or ())} like {original.name}"
        raise UsageError(f"{path}: the mask must be {_text(size)}{also} (got {_text(found)})")
    values = model.observe(path).support.values
    return (values.mean(1)[0] > 0).cpu()


def _flat(size: Sequence[int], what: str) -> tuple[int, int]:
    if len(size) != 2:
        raise UsageError(f"{what} needs signals of two axes (got {len(size)}); give a box")
    return size[0], size[1]


def _text(size: Sequence[int]) -> str:
    return " x ".join(map(str, reversed(size)))


# ---------------------------------------------------------------------------------------------- files in


def observe_files(model: Model, paths: Sequence[Path], operator: Operator | None) -> tuple[Observation, list[str]]:
    """What the files show, and their names.

    For `PatchMeans`, a file that holds a signal as coarse as the patches is taken as their means.
    """
    signals, names = model.modality.display.read(paths)
    support = model.observe(signals).support
    if operator is not None:
        operator.check(tuple(support.values.shape[1:]))
    if isinstance(operator, PatchMeans) and len(names) == len(paths):
        values = support.values.clone()
        for i, path in enumerate(paths):
            coarse = model.modality.display.read_coarse(path, operator.factor)
            if coarse is not None:
                values[i] = operator.pseudo_inverse(coarse[None].to(values))[0]
        support = support.with_values(values)
    return support, list(names)


def repeated(observation: Observation, count: int) -> Observation:
    """Every row ``count`` times."""
    return observation.rows(torch.arange(len(observation), device=observation.values.device).repeat_interleave(count))


# ---------------------------------------------------------------------------------------------- results


class Written(NamedTuple):
    """One edited signal on disk, and how well its files keep it; ``inr_psnr`` is None where the INR shows just that."""

    picture: Path
    inr: Path
    values: Path
    inr_psnr: float | None
    kept: float | None


def save_edits(
    model: Model,
    given: Observation | None,
    edited: Prediction,
    operator: Operator | None,
    paths: Sequence[Path],
    sheet: Path,
    provenance: Sequence[Mapping[str, Any]],
) -> list[Written]:
    """For each path (of a picture) that picture, the exact values as .npy beside it, and an .inr; and for the first of
    them a sheet: what went in above what was known, what came out and what the INRs show of it.

    ``kept`` is the largest difference between what is known and what the values in the .npy measure.
    """
    values = edited.observation.values.float()
    found = psnr(edited.signal.float(), values, peak=2).tolist()
    fidelity = [value if value < 100 else None for value in found]
    kept: list[float | None] = [None] * len(paths)
    rows: dict[str, Tensor] = {}
    if given is not None:
        rows["input"] = given.values[:_ON_SHEET]
        if operator is not None:
            rows["known"] = known_part(operator, given.values[:_ON_SHEET])
            difference = operator.apply(values) - operator.apply(given.values.float())
            kept = difference.abs().flatten(1).amax(1).tolist()
    rows["edited"] = edited.observation.values[:_ON_SHEET]
    captions = None
    if any(value is not None for value in fidelity[:_ON_SHEET]):
        rows["its INR"] = edited.signal[:_ON_SHEET]
        captions = ["the same" if value is None else f"{value:.1f} dB" for value in fidelity[:_ON_SHEET]]
    written = []
    for i, (path, value) in enumerate(zip(paths, values.cpu(), strict=True)):
        buffer, array, inr = io.BytesIO(), path.with_suffix(".npy"), path.with_suffix(".inr")
        np.save(buffer, value.numpy(), allow_pickle=False)
        atomic.write_bytes(array, buffer.getvalue())
        save_inr(inr, model.inr(edited, i, provenance[i]))
        picture = Path(model.modality.display.write([value], path))
        written.append(Written(picture, inr, array, fidelity[i], kept[i]))
    pictures = {name: pictures_of(model, shown) for name, shown in rows.items()}
    save_png(labelled_rows(pictures, captions=captions), sheet)
    return written


def known_part(operator: Operator, values: Tensor) -> Tensor:
    """Values to look at that hold what is known and nothing else: what a weighted mean of channels leaves is grey."""
    known = operator.apply(values)
    return known.expand_as(values) if isinstance(operator, ChannelMean) else operator.pseudo_inverse(known)
