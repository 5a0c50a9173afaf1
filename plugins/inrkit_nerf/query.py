"""Asking fields at the places of each object that are needed, though each object needs others."""

import torch
from torch import Tensor

from inrkit import Field

IN_FLIGHT = {"cpu": 1 << 11}  # points that a field is asked for at a time without gradients: what stays in the caches
ELSEWHERE = 1 << 20  # such a number where much memory and many processors want to be busy


def query(field: Field, coords: Tensor, needed: Tensor, others: Tensor | None = None) -> Tensor:
    """The field's answers (B, R, S, C + 1) at coords (b, R, S, axes) where ``needed`` (B, R, S); else ``others``, or 0.

    The needed places of each object are moved together, padded to the longest list among the objects.
    """
    objects, each = len(needed), needed[0].numel()
    row, place = needed.flatten(1).nonzero(as_tuple=True)
    number, longest = beside(row, objects)
    order = place.new_zeros(objects, longest)  # how many channels there are, only an answer tells
    order[row, number] = place
    if len(coords) > 1:
        order = order + each * torch.arange(objects, device=row.device)[:, None]
    step = max(1, IN_FLIGHT.get(needed.device.type, ELSEWHERE) // objects)
    places = coords.flatten(0, 2)
    answers = torch.cat([field(places[part]).float() for part in order.split(step, dim=1)], 1)
    if others is None:
        others = answers.new_zeros(*needed.shape, answers.shape[-1])
    result = others.flatten(1, 2).contiguous()
    result[row, place] = answers[row, number]
    return torch.unflatten(result, 1, needed.shape[1:])


def beside(row: Tensor, objects: int) -> tuple[Tensor, int]:
    """Of what lies end to end, object by object: the place of each among its object's, and the most of them, or 1."""
    counts = row.bincount(minlength=objects)
    number = torch.arange(len(row), device=row.device) - (counts.cumsum(0) - counts)[row]
    return number, max(1, int(counts.max()))
