"""Invented solids: furniture and crockery by constructive geometry, exact at every place. Lengths are in metres."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from inrkit_shapes.distance import REACH, values_of_distance

Distance = Callable[[Tensor], Tensor]
"""Places (P, 3) to distances (P,) outside of a solid, negative inside."""
Uniform = Callable[[float, float], float]
"""A number between two."""


def invent(chance: torch.Generator) -> Callable[[Tensor], Tensor]:
    """One solid: places (P, 3) in the cube [-1, 1]³ to values (P, 1)."""

    def uniform(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=chance))

    kind = list(KINDS.values())[int(torch.randint(len(KINDS), (), generator=chance))]
    distance, size = kind(uniform)  # the bounding box stands on the floor, its middle above the origin
    metres = REACH * float(torch.tensor(size).norm())  # from the middle of the cube to a side of it
    up = torch.tensor([0, 0, size[2] / 2])  # onto the floor

    def values(places: Tensor) -> Tensor:
        return values_of_distance(distance(places * metres + up) / metres)[:, None]

    return values


# ---------------------------------------------------------------------------------------------- parts


def box(p: Tensor, centre: tuple[float, float, float], size: tuple[float, float, float], r: float = 0.01) -> Tensor:
    """With edges rounded by ``r``."""
    return _rounded((p - torch.tensor(centre)).abs() - torch.tensor(size) / 2, r)


def cylinder(p: Tensor, z: float, radius: float, height: float, r: float = 0.01) -> Tensor:
    """Upright on the axis, from ``z`` upwards."""
    q = torch.stack([p[:, :2].norm(dim=1) - radius, (p[:, 2] - z - height / 2).abs() - height / 2], 1)
    return _rounded(q, r)


def ring(p: Tensor, radius: float, thick: float) -> Tensor:
    """A torus about the axis z."""
    return torch.hypot(p[:, :2].norm(dim=1) - radius, p[:, 2]) - thick


def _rounded(q: Tensor, r: float) -> Tensor:
    q = q + r
    outside: Tensor = q.clamp_min(0).norm(dim=1)
    return outside + q.amax(1).clamp_max(0) - r


def union(*parts: Tensor, k: float = 0.02) -> Tensor:
    """The nearest of all, blended over ``k`` where two meet."""
    whole = parts[0]
    for part in parts[1:]:
        h = (k - (whole - part).abs()).clamp_min(0) / k
        whole = torch.minimum(whole, part) - h * h * k / 4
    return whole


def four(p: Tensor) -> Tensor:
    """Four things where there would be one."""
    return torch.cat([p[:, :2].abs(), p[:, 2:]], 1)


# ---------------------------------------------------------------------------------------------- kinds


def table(u: Uniform) -> tuple[Distance, tuple[float, float, float]]:
    """Square or round, on four legs or on a foot."""
    w, d, h, thick, leg = u(0.6, 1.2), u(0.5, 1.0), u(0.4, 0.8), u(0.1, 0.18), u(0.1, 0.18)
    is_round, has_foot = u(0, 1) < 0.4, u(0, 1) < 0.4
    d = w if is_round else d
    inset = 0.36 if is_round else 0.5

    def distance(p: Tensor) -> Tensor:
        top = cylinder(p, h - thick, w / 2, thick) if is_round else box(p, (0, 0, h - thick / 2), (w, d, thick))
        if has_foot:
            return union(top, cylinder(p, 0, leg * 0.7, h - thick), cylinder(p, 0, min(w, d) * 0.3, thick * 0.8), k=0.1)
        place = (w * inset - leg / 2, d * inset - leg / 2, (h - thick) / 2)
        return union(top, box(four(p), place, (leg, leg, h - thick)))

    return distance, (w, d, h)


def chair(u: Uniform) -> tuple[Distance, tuple[float, float, float]]:
    """Facing +x: a seat, a back of one piece or of two bars, arms or none, four legs or a foot."""
    w, d, h, thick, leg = u(0.42, 0.65), u(0.42, 0.6), u(0.3, 0.5), u(0.09, 0.16), u(0.09, 0.14)
    back, arms, bars, has_foot = u(0.25, 0.6), u(0, 1) < 0.35, u(0, 1) < 0.4, u(0, 1) < 0.3
    top = h + back

    def distance(p: Tensor) -> Tensor:
        parts = [box(p, (0, 0, h - thick / 2), (d, w, thick), 0.02)]
        behind, aside = -d / 2 + leg / 2, torch.stack([p[:, 0], p[:, 1].abs(), p[:, 2]], 1)
        if bars:
            parts.append(box(aside, (behind, w / 2 - leg / 2, h + back / 2), (leg, leg, back)))
            parts.append(box(p, (behind, 0, top - back * 0.2), (leg, w, back * 0.4)))
        else:
            parts.append(box(p, (behind, 0, h - thick + (back + thick) / 2), (leg, w, back + thick), 0.02))
        if arms:
            parts.append(box(aside, (0, w / 2 - leg / 2, h + back * 0.4), (d, leg, leg)))
            parts.append(box(aside, (d / 2 - leg / 2, w / 2 - leg / 2, h + back * 0.2), (leg, leg, back * 0.4)))
        if has_foot:
            parts += [cylinder(p, 0, leg * 0.7, h), cylinder(p, 0, w * 0.4, 0.08)]
        else:
            parts.append(box(four(p), (d / 2 - leg / 2, w / 2 - leg / 2, h / 2), (leg, leg, h)))
        return union(*parts)

    return distance, (d, w, top)


def mug(u: Uniform) -> tuple[Distance, tuple[float, float, float]]:
    """A wall, a floor, and a handle towards +x."""
    radius, h, wall, grip = u(0.3, 0.45), u(0.6, 1.0), u(0.1, 0.16), u(0.18, 0.26)

    beyond = grip + wall * 0.6

    def distance(p: Tensor) -> Tensor:
        p = p + torch.tensor([beyond / 2, 0, 0])
        handle = torch.stack([p[:, 0] - radius, p[:, 2] - h / 2, p[:, 1]], 1)
        outer = union(cylinder(p, 0, radius, h, 0.03), ring(handle, grip, wall * 0.6), k=0.05)
        return torch.maximum(outer, -cylinder(p, wall, radius - wall, h * 2, 0.03))

    return distance, (2 * radius + beyond, 2 * radius, h)


def stool(u: Uniform) -> tuple[Distance, tuple[float, float, float]]:
    """A drum, a bar stool or a pillar: a disc, a column and a foot."""
    w, h, thick, waist, foot = u(0.3, 0.6), u(0.4, 0.9), u(0.08, 0.16), u(0.3, 0.9), u(0.6, 1.1)

    def distance(p: Tensor) -> Tensor:
        column = cylinder(p, 0, waist * w / 2, h)
        return union(cylinder(p, h - thick, w / 2, thick, 0.03), column, cylinder(p, 0, foot * w / 2, thick), k=0.08)

    return distance, (w * max(1, foot), w * max(1, foot), h)


def shelf(u: Uniform) -> tuple[Distance, tuple[float, float, float]]:
    """Two sides, a back or none, and two or three boards."""
    w, d, h, thick = u(0.6, 1.0), u(0.3, 0.5), u(0.7, 1.2), u(0.09, 0.13)
    boards, closed = int(u(2, 4)), u(0, 1) < 0.5

    def distance(p: Tensor) -> Tensor:
        aside = torch.stack([p[:, 0], p[:, 1].abs(), p[:, 2]], 1)
        parts = [box(aside, (0, w / 2 - thick / 2, h / 2), (d, thick, h))]
        levels = [thick / 2 + (h - thick) * i / (boards - 1) for i in range(boards)]
        parts += [box(p, (0, 0, z), (d, w, thick)) for z in levels]
        if closed:
            parts.append(box(p, (-d / 2 + thick / 2, 0, h / 2), (thick, w, h)))
        return union(*parts)

    return distance, (d, w, h)


def hoop(u: Uniform) -> tuple[Distance, tuple[float, float, float]]:
    """A ring that lies or stands, with a ball in it or none."""
    radius, thick, ball, stands = u(0.4, 0.7), u(0.14, 0.28), u(-0.3, 0.35), u(0, 1) < 0.5
    size = (2 * (radius + thick), 2 * (radius + thick), 2 * thick)

    def distance(p: Tensor) -> Tensor:
        q = p - torch.tensor([0, 0, size[0 if stands else 2] / 2])
        q = q[:, [1, 2, 0]] if stands else q
        return torch.minimum(ring(q, radius, thick), q.norm(dim=1) - ball) if ball > 0.1 else ring(q, radius, thick)

    return distance, (size[2], size[1], size[0]) if stands else size


KINDS: Mapping[str, Callable[[Uniform], tuple[Distance, tuple[float, float, float]]]] = {
    f.__name__: f for f in (table, chair, mug, stool, shelf, hoop)
}
