"""What an edit of files needs: masks by box, word or picture; files coarser than the model; results on disk."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
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

# ---------------------------------------------------------------------------------------------- what is unknown


def box_hole(size: Sequence[int], text: str) -> Tensor:
    """True in a box (*size). The text has, for each axis as people order them (width before height), where the box
    begins, and then how long it is: "8,4,16,10"."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 2 * len(size) or not all(part.isdecimal() for part in parts):
        example = ",".join(["8"] * len(size) + ["4"] * len(size))
        raise UsageError(
            f"'box' is {2 * len(size)} numbers, where it begins and how long it is: {example} (got '{text}')"
        )
    numbers = [int(part) for part in parts]
    begins, lengths = numbers[: len(size)][::-1], numbers[len(size) :][::-1]
    hole = torch.zeros(*size, dtype=torch.bool)
    inside = tuple(slice(begin, begin + length) for begin, length in zip(begins, lengths, strict=True))
    for begin, length, n in zip(begins, lengths, size, strict=True):
        if length < 1 or begin + length > n:
            raise UsageError(f"the box must lie within the signal, {_text(size)} (got '{text}')")
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
    support, names = _read(model, paths)
    if operator is not None:
        operator.check(tuple(support.values.shape[1:]))
    if isinstance(operator, PatchMeans) and len(names) == len(paths):
        values = support.values.clone()
        for i, path in enumerate(paths):
            coarse = model.modality.display.read_coarse(path, operator.factor)
            if coarse is not None:
                values[i] = operator.pseudo_inverse(coarse[None].to(values))[0]
        support = support.with_values(values)
    return support, names


def _read(model: Model, paths: Sequence[Path]) -> tuple[Observation, list[str]]:
    signals, names = model.modality.display.read([Path(path) for path in paths])
    return model.observe(signals).support, list(names)


def repeated(observation: Observation, count: int) -> Observation:
    """Every row ``count`` times."""
    return observation.rows(torch.arange(len(observation), device=observation.values.device).repeat_interleave(count))


# ---------------------------------------------------------------------------------------------- results


@attrs.frozen
class Written:
    """One edited signal on disk, and how well its files keep it; ``inr_psnr`` is None where the INR shows just that."""

    values: Path
    inr: Path
    picture: Path
    inr_psnr: float | None
    kept: float | None

    def facts(self) -> dict[str, Any]:
        """As plain JSON."""
        paths = {name: str(getattr(self, name)) for name in ("picture", "inr", "values")}
        return {**paths, "inr_psnr": self.inr_psnr, "kept": self.kept}


def save_edits(
    model: Model,
    given: Observation | None,
    edited: Prediction,
    operator: Operator | None,
    paths: Sequence[Path],
    provenance: Sequence[Mapping[str, Any]],
) -> list[Written]:
    """For each path (of a picture) that picture, the exact values as .npy beside it, and an .inr.

    ``kept`` is the largest difference between what is known and what the values in the .npy measure.
    """
    values = edited.observation.values.float()
    fidelity = _fidelity(edited)
    kept = None
    if operator is not None and given is not None:
        difference = operator.apply(values) - operator.apply(given.values.float())
        kept = difference.abs().flatten(1).amax(1).tolist()
    written = []
    for i, path in enumerate(paths):
        array = path.with_suffix(".npy")
        atomic.write_bytes(array, _npy(values[i]))
        inr = path.with_suffix(".inr")
        save_inr(inr, model.inr(edited, i, provenance[i]))
        picture = Path(model.modality.display.write([values[i].cpu()], path))
        written.append(Written(array, inr, picture, fidelity[i], None if kept is None else kept[i]))
    return written


def _npy(values: Tensor) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values.cpu().numpy(), allow_pickle=False)
    return buffer.getvalue()


def save_sheet(
    model: Model, given: Observation | None, edited: Prediction, operator: Operator | None, path: Path, most: int = 16
) -> Path:
    """What went in above what was known, what came out and what the INRs show of it."""
    rows: dict[str, Tensor] = {}
    if given is not None:
        rows["input"] = pictures_of(model, given.values[:most])
        if operator is not None:
            rows["known"] = pictures_of(model, known_part(operator, given.values[:most]))
    fidelity = _fidelity(edited)[:most]
    rows["edited"] = pictures_of(model, edited.observation.values[:most])
    if all(value is None for value in fidelity):
        return save_png(labelled_rows(rows), path)
    rows["its INR"] = pictures_of(model, edited.signal[:most])
    captions = ["the same" if value is None else f"{value:.1f} dB" for value in fidelity]
    return save_png(labelled_rows(rows, captions=captions), path)


def _fidelity(edited: Prediction) -> list[float | None]:
    """PSNR of what the INRs show against the edited signals; None where it is the same."""
    found = psnr(edited.signal.float(), edited.observation.values.float(), peak=2).tolist()
    return [value if value < 100 else None for value in found]


def known_part(operator: Operator, values: Tensor) -> Tensor:
    """Values to look at that hold what is known and nothing else: what a weighted mean of channels leaves is grey."""
    known = operator.apply(values)
    return known.expand_as(values) if isinstance(operator, ChannelMean) else operator.pseudo_inverse(known)
