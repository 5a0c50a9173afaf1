"""Edits of files: what is known of them, results as large as the files are, and those on disk."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, final

import attrs
import numpy as np
import torch
from torch import Tensor

from inrkit.core.edit.operator import ChannelMean, KnownCells, Operator, PatchMeans
from inrkit.core.edit.task import insert
from inrkit.core.modality import Modality, Original
from inrkit.core.observation import Observation
from inrkit.core.pipeline import Prediction
from inrkit.drawing.layout import Layout
from inrkit.drawing.sheet import save_sheet as save_rows
from inrkit.inference.model import Model
from inrkit.inference.picture import pictures_of
from inrkit.metrics.metric import psnr
from inrkit.nn.grid import Grid
from inrkit.nn.resample import resample
from inrkit.storage import atomic
from inrkit.storage.inrfile import save_inr

_ON_SHEET = 16
_MARKED = (0.85, 0.1, 0.6)  # the colour of a hole on a sheet


def read_originals(modality: Modality, paths: Sequence[Path]) -> list[Original]:
    """The signals of files as they are there; those of the model's own size where a modality knows no others."""
    shape = tuple(modality.template(1).values.shape[1:])
    own = Original(torch.zeros(shape), tuple(slice(0, n) for n in shape[1:]))
    return [one for path in paths for one in modality.display.originals(path) or [own]] or [own]


def repeated(observation: Observation, count: int) -> Observation:
    """Every row ``count`` times."""
    return observation.rows(torch.arange(len(observation), device=observation.values.device).repeat_interleave(count))


# ---------------------------------------------------------------------------------------------- coarser than the model


def coarseness(originals: Sequence[Original], size: Sequence[int]) -> int:
    """How many cells of the model's grid one cell of all these files is along each axis; 1 where that is no number."""
    seen = {tuple(original.seen.shape[1:]) for original in originals}
    factors = {n // m if n % m == 0 else 1 for one in seen for n, m in zip(size, one, strict=True)}
    return factors.pop() if len(seen) == 1 and len(factors) == 1 else 1


def with_coarse(support: Observation, originals: Sequence[Original], operator: PatchMeans) -> Observation:
    """The support with the values of files as the means of its patches."""
    coarse = torch.stack([original.seen for original in originals])
    return support.with_values(operator.pseudo_inverse(coarse.to(support.values)))


# ---------------------------------------------------------------------------------------------- as large as the file


@final
@attrs.frozen(eq=False)
class Target:
    """What becomes of an edit on the grid of a file.

    Args:
        original: The file's signal.
        hole: What is filled in, on its grid: the result is then the whole of it; else the part that the model sees.
        operator: Measures what is kept of that part, on the grid of the result.
        factor: How many times larger the result is.
        measured: Whether the file holds what the operator measures, and not the signal itself.
    """

    original: Original
    hole: Tensor | None = None
    operator: Operator | None = None
    factor: int = 1
    measured: bool = False

    def finish(self, edited: Prediction) -> tuple[Tensor, float | None]:
        """The result (C, *size) of an edit, one row, and how far at most what it keeps differs from the file.

        What is known comes from the file, the rest from the edited signal, or its INR where the sizes differ.
        """
        seen = self.original.seen.float()
        size = tuple(self.factor * n for n in seen.shape[1:])
        values = edited.observation.values.float()
        if tuple(values.shape[2:]) != size:
            values = edited.at(Grid(size, device=values.device)).float()
        values = values.cpu()
        if self.hole is not None:
            whole = self.original.values.float().clone()
            part = (slice(None), *self.original.part)
            whole[part] = torch.where(self.hole[self.original.part], values[0].clamp(-1, 1), whole[part])
            return whole, float(((whole - self.original.values) * ~self.hole).abs().max())
        if self.operator is None:
            return values[0], None
        if self.measured:
            values = self.operator.project(values.clamp(-1, 1), seen[None])
            return values[0], float((self.operator.apply(values) - seen).abs().max())
        known = seen[None] if self.factor > 1 else self.operator.apply(seen[None])
        if self.factor > 1 and tuple(edited.observation.values.shape[2:]) != size:
            # What the file knows better than the INR is added smoothly; the projection makes it exact.
            values = values + resample(known - self.operator.apply(values), size)
        values = insert(self.operator, values, known)
        return values[0], float((self.operator.apply(values) - known).abs().max())


# ---------------------------------------------------------------------------------------------- results


class Written(NamedTuple):
    """One edited signal on disk, and how well its files keep it; ``inr_psnr`` is None where the INR shows just that."""

    picture: Path
    inr: Path
    values: Path
    size: tuple[int, ...]
    inr_psnr: float | None
    kept: float | None
    filled: float | None


def save_edits(
    model: Model,
    edited: Prediction,
    targets: Sequence[Target],
    paths: Sequence[Path],
    provenance: Sequence[Mapping[str, Any]],
) -> list[Written]:
    """For each path (of a picture) that picture, and beside it the exact values as .npy, an .inr, and a sound as such.

    ``inr_psnr`` compares the INR with the edit at the model's resolution.
    """
    written = []
    for i, (path, target) in enumerate(zip(paths, targets, strict=True)):
        values, kept = target.finish(edited.rows(slice(i, i + 1)))
        buffer, array, inr = io.BytesIO(), path.with_suffix(".npy"), path.with_suffix(".inr")
        np.save(buffer, values.numpy(), allow_pickle=False)
        atomic.write_bytes(array, buffer.getvalue())
        save_inr(inr, model.inr(edited, i, provenance[i]))
        display = model.modality.display
        picture = Path(display.write([values], path))
        if display.suffix not in (".png", ".npy", path.suffix):
            display.write([values], path.with_name(f"{path.stem}-edited{display.suffix}"))
        filled = None if target.hole is None else float(target.hole.float().mean())
        fidelity = _fidelity(edited.rows(slice(i, i + 1)))[0]
        written.append(Written(picture, inr, array, tuple(values.shape[1:]), fidelity, kept, filled))
    return written


def save_sheet(
    model: Model,
    given: Observation | None,
    edited: Prediction,
    results: Sequence[tuple[Target, Written]],
    operator: Operator | None,
    sheet: Path,
    layout: Layout,
) -> list[Path]:
    """At the model's resolution: what went in above what was known, what came out and what the INRs show of it.

    Of results that are finer than the model what came out is shown as it was written.
    """
    wanted = layout.count(_ON_SHEET)
    first = edited.rows(slice(0, wanted))
    rows: dict[str, Tensor] = {}
    if given is not None:
        before = given.values[:wanted]
        rows["input"] = pictures_of(model, before)
        if operator is not None:
            rows["known"] = _known_part(model, operator, before)
    values = first.observation.values.float().cpu()
    several = [_shown(*result, values[i : i + 1]) for i, result in enumerate(results[:wanted])]
    size = several[0].shape[2:] if len({one.shape for one in several}) == 1 else values.shape[2:]
    shown = torch.cat([resample(one, size) for one in several])
    rows["edited"] = pictures_of(model, shown)
    fidelity, captions = _fidelity(first), None
    if any(value is not None for value in fidelity):
        captions = ["the same" if value is None else f"{value:.1f} dB" for value in fidelity]
    if captions is not None or shown.shape != values.shape or not torch.equal(shown, values):
        rows["its INR"] = pictures_of(model, first.signal)
    return save_rows(rows, layout, sheet, captions=captions)


def _shown(target: Target, written: Written, values: Tensor) -> Tensor:
    """A result (1, C, *size) for the sheet, given what the model made of it."""
    size = values.shape[2:]
    seen = target.original.seen.shape[1:]
    if target.factor == 1 and seen == size:
        return values
    result = torch.from_numpy(np.load(written.values, allow_pickle=False))[None].float()
    if target.hole is not None:
        result = result[(slice(None), slice(None), *target.original.part)]
    finest = tuple(target.factor * n for n in size)
    return resample(result, finest if target.factor == 1 or max(result.shape[2:]) > max(finest) else result.shape[2:])


def _fidelity(edited: Prediction) -> list[float | None]:
    found = psnr(edited.signal.float(), edited.observation.values.float(), peak=2).tolist()
    return [value if value < 100 else None for value in found]


def _known_part(model: Model, operator: Operator, values: Tensor) -> Tensor:
    """Pictures of what is known and nothing else: holes have a colour, what a mean of channels leaves is grey."""
    known = operator.apply(values)
    shown = known.expand_as(values) if isinstance(operator, ChannelMean) else operator.pseudo_inverse(known)
    pictures = pictures_of(model, shown)
    if isinstance(operator, KnownCells) and operator.mask.shape == pictures.shape[2:]:
        colour = torch.tensor(_MARKED)[:, None, None].expand(3, *operator.mask.shape)
        pictures = torch.where(operator.mask.cpu(), pictures, colour)
    return pictures
