"""A blueprint as convex pieces: body, cabin, four wheels, and six boxes."""

import itertools
import math
from collections.abc import Mapping
from typing import TypeAlias

import torch
from torch import Tensor

from inrkit_nerf.embedded.blueprint import Blueprint
from inrkit_nerf.embedded.polyhedra import Pieces

Number: TypeAlias = Tensor | float
Point: TypeAlias = tuple[Number, ...]  # x, y, z
HalfSpace: TypeAlias = tuple[Point, Point]  # outward normal, a point

BODY, CABIN, WHEEL, BOX = 0, 1, 2, 6  # numbers of the first piece of each sort
SIDES = 12  # of a wheel
COUNTS = (16, 10, *[SIDES + 2] * 4, *[6] * 6)

# Faces of the body and the cabin, by number.
TOP, BOTTOM, LEFT, RIGHT, FRONT, REAR = range(6)
BONNET, BOOT = 6, 7


def scale_of(measures: Mapping[str, Tensor]) -> Tensor:
    """(B,) what a metre becomes: the diagonal of the bounding box has length 1."""
    width = measures["width"] + 0.26  # from mirror to mirror
    return (measures["length"] ** 2 + width**2 + measures["top"] ** 2).rsqrt()


def to_metres(points: Tensor, scale: Tensor, top: Tensor) -> Tensor:
    """Points (..., 3) around the origin, as rendered -> metres above the ground."""
    metres = points / scale[..., None]
    return torch.cat((metres[..., :2], metres[..., 2:] + top[..., None] / 2), -1)


def shape(blueprint: Blueprint) -> Pieces:
    """The pieces of B cars, centred and with a bounding box of diagonal 1."""
    m = blueprint.measures
    parts = [_body(m), _cabin(m)]
    parts += [_wheel(m, axle, side) for axle in ("front_axle", "rear_axle") for side in (1, -1)]
    parts += [_block(*(corner.unbind(-1) for corner in box.unbind(1))) for box in blueprint.boxes.unbind(1)]
    built = [_half_spaces(part, m["length"]) for part in parts]
    most = max(COUNTS)
    normals = torch.stack([torch.nn.functional.pad(n, (0, 0, 0, most - n.shape[1])) for n, _ in built], 1)
    offsets = torch.stack([torch.nn.functional.pad(c, (0, most - c.shape[1]), value=1.0) for _, c in built], 1)
    # to the origin: n · (x / s + centre) <= c
    centre = torch.stack((torch.zeros_like(m["top"]), torch.zeros_like(m["top"]), m["top"] / 2), -1)
    used = normals.abs().sum(-1) > 0
    moved = (offsets - (normals * centre[:, None, None]).sum(-1)) * scale_of(m)[:, None, None]
    return Pieces(normals, torch.where(used, moved, offsets), COUNTS)


def _half_spaces(part: list[HalfSpace], like: Tensor) -> tuple[Tensor, Tensor]:
    """Normals (B, P, 3) of length 1 and offsets (B, P)."""
    numbers = [
        torch.as_tensor(n, dtype=like.dtype, device=like.device) for n in itertools.chain(*itertools.chain(*part))
    ]
    normals, points = torch.stack([n.expand_as(like) for n in numbers], -1).unflatten(-1, (-1, 2, 3)).unbind(2)
    normals = torch.nn.functional.normalize(normals, dim=-1)
    return normals, (normals * points).sum(-1)


def _block(low: Point, high: Point) -> list[HalfSpace]:
    """The faces of a box, in the order of their numbers; empty where its corners are in the wrong order."""
    return [
        ((0.0, 0.0, 1.0), high),
        ((0.0, 0.0, -1.0), low),
        ((0.0, 1.0, 0.0), high),
        ((0.0, -1.0, 0.0), low),
        ((1.0, 0.0, 0.0), high),
        ((-1.0, 0.0, 0.0), low),
    ]


def _slope(a: tuple[Number, Number], b: tuple[Number, Number]) -> HalfSpace:
    """Below the line from a = (x, z) back to b, seen from the side."""
    return (b[1] - a[1], 0.0, a[0] - b[0]), (a[0], 0.0, a[1])


def _body(m: Mapping[str, Tensor]) -> list[HalfSpace]:
    """A box with a bonnet, a boot, rounded shoulders and bevelled ends."""
    half, nose, tail = m["width"] / 2, m["nose"], -m["nose"]
    belt, floor = m["belt"], m["clearance"]
    low = floor + 0.5 * (m["bonnet"] - floor)
    planes = _block((tail, -half, floor), (nose, half, belt))
    planes += [_slope((nose, m["bonnet"]), (m["foot"], belt)), _slope((m["rear_foot"], belt), (tail, m["boot"]))]
    planes += [((0.0, 0.4 * side, 1.0), (0.0, side * (half - m["inset"]), belt)) for side in (1, -1)]
    planes += [((1.0, 0.0, -0.45), (nose, 0.0, low)), ((-1.0, 0.0, -0.35), (tail, 0.0, low))]
    for end, sharp in ((1, 1.7), (-1, 1.2)):
        x = end * (nose - m["round_front"] * sharp / 2)
        planes += [((1.0 * end, sharp * side / 2, 0.0), (x, side * half, 0.0)) for side in (1, -1)]
    return planes


def _cabin(m: Mapping[str, Tensor]) -> list[HalfSpace]:
    """What rises above the belt, with its roof's edges bevelled."""
    belt, top, rise = m["belt"], m["height"], m["height"] - m["belt"]
    foot, head, rear_head, rear_foot = m["foot"], m["head"], m["rear_head"], m["rear_foot"]
    base = m["width"] / 2 - m["inset"]
    edge, drop = base - m["tumble"] - m["round_side"], 0.05
    planes: list[HalfSpace] = [((0.0, 0.0, 1.0), (0.0, 0.0, top)), ((0.0, 0.0, -1.0), (0.0, 0.0, belt - 0.1))]
    planes += [((0.0, rise * side, m["tumble"]), (0.0, side * base, belt)) for side in (1, -1)]
    planes += [_slope((foot, belt), (head, top)), _slope((rear_head, top), (rear_foot, belt))]
    planes += [((0.0, 0.5 * side, 1.0), (0.0, side * edge, top)) for side in (1, -1)]
    planes += [((0.28, 0.0, 1.0), (head - 0.25, 0.0, top)), ((-0.2, 0.0, 1.0), (rear_head + 4 * drop, 0.0, top))]
    return planes


def _wheel(m: Mapping[str, Tensor], axle: str, side: int) -> list[HalfSpace]:
    """A prism around a circle, one of its faces on the ground, a little outside of the body."""
    x, radius, half = m[axle], m["wheel"], m["width"] / 2
    turns = [2 * math.pi * i / SIDES for i in range(SIDES)]
    planes: list[HalfSpace] = [
        ((math.sin(a), 0.0, math.cos(a)), (x + radius * math.sin(a), 0.0, radius + radius * math.cos(a))) for a in turns
    ]
    outside, inside = (0.0, side * (half + 0.02), 0.0), (0.0, side * (half - 0.24), 0.0)
    return [*planes, ((0.0, 1.0 * side, 0.0), outside), ((0.0, -1.0 * side, 0.0), inside)]
