"""What an edit of files keeps, by the options of the command: on the grid of the model, and on that of each file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

import attrs
import torch
from torch import Tensor

from inrkit.core.edit.operator import ChannelMean, KnownCells, Operator, PatchMeans
from inrkit.core.modality import Modality, Original
from inrkit.errors import UsageError
from inrkit.inference.blur import BLURS, blur_of
from inrkit.inference.edit import Target, coarseness, read_originals
from inrkit.inference.hole import box_hole, cells_of, mask_hole, text_hole


@final
@attrs.frozen(eq=False)
class Plan:
    """How files are edited.

    Args:
        targets: What becomes of each.
        operator: What is known of them on the grid of the model; None where nothing is kept, or all is known.
        coarse: Whether the files hold no more than the means that the operator measures.
        marked: How a mask was read.
        measured: Whether the files hold what the operator measures, and not the signals themselves.
    """

    targets: Sequence[Target]
    operator: Operator | None = None
    coarse: bool = False
    marked: str = ""
    measured: bool = False


def plan_edit(modality: Modality, task: str, paths: Sequence[Path], given: Mapping[str, Any]) -> Plan:
    """The plan of a task of ``inrkit edit`` with its options; no weights are needed for it."""
    originals = read_originals(modality, paths)
    shape = tuple(modality.template(1).values.shape[1:])
    if task == "inpaint":
        return _inpaint(originals, shape, paths, given)
    if task == "superres":
        factor = 2 if given["factor"] is None else given["factor"]
        targets = [Target(original, operator=PatchMeans(factor), factor=factor) for original in originals]
        coarse = coarseness(originals, shape[1:])
        return Plan(targets, PatchMeans(coarse) if coarse > 1 else None, coarse=coarse > 1)
    if task == "deblur":
        return _deblur(originals, shape, given)
    if task == "colorize":
        operator = ChannelMean()
        operator.check(shape)
        return Plan([Target(original, operator=operator) for original in originals], operator)
    return Plan([Target(original) for original in originals])


def _deblur(originals: Sequence[Original], shape: tuple[int, ...], given: Mapping[str, Any]) -> Plan:
    kind, radius, angle = given["blur"] or BLURS[0], given["radius"], given["angle"] or 0.0
    radius = 2.0 if radius is None else radius
    seen = [tuple(original.seen.shape) for original in originals]
    if len(set(seen)) > 1:
        raise UsageError("the inputs differ in size, and so does their blur; edit those of one size at a time")
    targets = [
        Target(one, operator=blur_of(kind, radius, angle, size), measured=True)
        for one, size in zip(originals, seen, strict=True)
    ]
    return Plan(targets, blur_of(kind, radius, angle, shape, shape[1] / seen[0][1]), measured=True)


def _inpaint(
    originals: Sequence[Original], shape: tuple[int, ...], paths: Sequence[Path], given: Mapping[str, Any]
) -> Plan:
    holes, cells, marked = [], [], ""
    for i, original in enumerate(originals):
        if given["box"] is not None:
            hole = box_hole(original.size, given["box"])
        elif given["text"] is not None:
            hole = torch.zeros(original.size, dtype=torch.bool)
            hole[original.part] = text_hole(original.seen.shape[1:], given["text"])
        else:
            name = paths[min(i, len(paths) - 1)].name
            hole, marked = mask_hole(original, shape[1:], given["mask"], name)
        hole = ~hole if given["invert"] else hole
        holes.append(hole)
        cells.append(cells_of(hole, original, shape[1:]))
    operator = KnownCells(~_same(cells))
    operator.check(shape)
    if cells[0].all():
        raise UsageError(
            "what is to be filled in is the whole of the input, and nothing would be known; '--invert' swaps the two, "
            "'inrkit sample' makes signals from nothing"
        )
    return Plan([Target(one, hole) for one, hole in zip(originals, holes, strict=True)], operator, marked=marked)


def _same(cells: Sequence[Tensor]) -> Tensor:
    """What is one for all inputs."""
    if any(not torch.equal(cells[0], other) for other in cells[1:]):
        raise UsageError(
            "the inputs differ in size, and so does what is to be filled in; edit those of one size at a time"
        )
    return cells[0]
