"""The colour of a car's surface: which material lies where, and how light falls on it.

Colours belong to points of the surface and look the same from everywhere, so that a field without view directions can
hold them. Nothing is as white as the background.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from inrkit_nerf.embedded.blueprint import MATERIAL
from inrkit_nerf.embedded.shape import BODY, BOOT, BOTTOM, BOX, CABIN, FRONT, LEFT, REAR, RIGHT, SIDES, TOP, WHEEL

# Towards the lights, and how bright they are; what is left comes from everywhere.
LIGHTS = (((0.45, 0.35, 0.82), 0.46), ((-0.5, -0.75, 0.43), 0.16))
AMBIENT = 0.48
BRIGHTEST = 0.95

_SIDE_MARGIN = 0.07  # metres of metal around a window


def paint(colours: Tensor, material: Tensor, normal: Tensor) -> Tensor:
    """Colours (M, 18, 3) of the cars, materials (M,) and normals (M, 3) -> (M, 3), by Lambert's law."""
    own = colours[torch.arange(len(material), device=material.device), material]
    light = torch.full_like(normal[:, 0], AMBIENT)
    for toward, strength in LIGHTS:
        direction = torch.nn.functional.normalize(normal.new_tensor(toward), dim=0)
        light = light + strength * (normal @ direction).clamp(min=0)
    # lamps shine by themselves, and glass mirrors some of the sky
    light = torch.where((material == MATERIAL["lamp"]) | (material == MATERIAL["tail"]), 0.95, light)
    sky = 0.10 * (material == MATERIAL["glass"]) * normal[:, 2].clamp(min=0)
    return (own * light[:, None] + sky[:, None]).clamp(0, BRIGHTEST)


def materials(number: Tensor, face: Tensor, heights: Tensor, metres: Tensor, m: Mapping[str, Tensor]) -> Tensor:
    """(M,) int64 into ``MATERIALS`` for points in metres (M, 3) on face (M,) of piece ``number`` (M,).

    ``heights`` (M, P) are those above the piece's planes, in metres; the measures ``m`` are (M,) each.
    """
    found = torch.where(number >= BOX, number - BOX + MATERIAL["box0"], 0)
    found = torch.where(number == BODY, _body(face, metres, m), found)
    found = torch.where(number == CABIN, _cabin(face, heights, metres, m), found)
    wheel = (number >= WHEEL) & (number < BOX)
    return torch.where(wheel, _wheel(number, face, metres, m), found)


def _lay(material: Tensor, name: str, mask: Tensor) -> Tensor:
    return torch.where(mask, MATERIAL[name], material)


def _body(face: Tensor, metres: Tensor, m: Mapping[str, Tensor]) -> Tensor:
    x, y, z = metres.unbind(-1)
    across, half, floor = y.abs(), m["width"] / 2, m["clearance"]
    side = (face == LEFT) | (face == RIGHT)
    front = (face == FRONT) | (face == 10) | (face == 12) | (face == 13)
    rear = (face == REAR) | (face == 11) | (face == 14) | (face == 15)
    material = torch.zeros_like(face)
    material = _lay(material, "lower", z < m["split"])
    band = floor + 0.62 * (m["belt"] - floor)
    material = _lay(material, "stripe", side & (m["band"] > 0) & ((z - band).abs() < 0.07))
    material = _lay(material, "stripe", (m["racing"] > 0) & ~side & ((across - 0.27).abs() < 0.12))
    material = _lay(material, "bumper", (front | rear) & (z < floor + 0.24))
    material = _lay(material, "trim", side & (z < floor + 0.07))
    # the face between the floor and the bonnet
    rise = (z - floor) / (m["bonnet"] - floor)
    material = _lay(material, "trim", front & (across < 0.58 * half) & (rise > 0.40) & (rise < 0.78))
    material = _lay(material, "lamp", front & (across > 0.60 * half) & (rise > 0.50) & (rise < 0.88))
    rise = (z - floor) / (m["boot"] - floor)
    material = _lay(material, "tail", rear & (across > 0.62 * half) & (rise > 0.55) & (rise < 0.88))
    material = _lay(material, "plate", rear & (across < 0.27) & (rise > 0.42) & (rise < 0.62))
    material = _lay(material, "trim", (face == BOTTOM) | ((face == BOOT) & (m["bed"] > 0)))
    for axle in ("front_axle", "rear_axle"):
        arch = (x - m[axle]) ** 2 + (z - m["wheel"]) ** 2 < (1.2 * m["wheel"]) ** 2
        material = _lay(material, "trim", side & arch)
    return material


def _cabin(face: Tensor, heights: Tensor, metres: Tensor, m: Mapping[str, Tensor]) -> Tensor:
    x, y, z = metres.unbind(-1)
    # how far from the window's edges, which are where other faces begin; the cabin's bottom is inside the body
    others = heights.scatter(1, face[:, None], -9.0)
    others[:, BOTTOM] = -9.0
    within = (others.amax(1) < -_SIDE_MARGIN) & (z > m["sill"])
    side = (face == LEFT) | (face == RIGHT)
    middle = (m["head"] + m["rear_head"]) / 2
    doors = (x - middle) / m["doors"]
    pillar = side & ((doors - doors.round()).abs() * m["doors"] < 0.05)
    blind = (x < m["glass_from"]) & (side | (face == REAR))
    window = within & ~pillar & ~blind & (side | (face == FRONT) | (face == REAR))
    # what lies below the windows belongs to the body
    low = (side | (face == FRONT) | (face == REAR)) & (z < m["sill"] + 0.02)
    material = torch.where(low, MATERIAL["body"], MATERIAL["roof"])
    roof = (face == TOP) | (face > REAR)
    material = _lay(material, "stripe", roof & (m["racing"] > 0) & ((y.abs() - 0.27).abs() < 0.12))
    return _lay(material, "glass", window)


def _wheel(number: Tensor, face: Tensor, metres: Tensor, m: Mapping[str, Tensor]) -> Tensor:
    axle = torch.where(number < WHEEL + 2, m["front_axle"], m["rear_axle"])
    x, z = metres[:, 0] - axle, metres[:, 2] - m["wheel"]
    far = torch.hypot(x, z) / m["wheel"]
    flat = face >= SIDES
    material = torch.full_like(face, MATERIAL["tyre"])
    material = _lay(material, "rim", flat & (far < 0.64))
    gap = (m["spokes"] > 0) & ((torch.atan2(z, x) * m["spokes"]).cos() < -0.1) & (far > 0.25) & (far < 0.56)
    return _lay(material, "trim", flat & (gap | (far < 0.10)))
