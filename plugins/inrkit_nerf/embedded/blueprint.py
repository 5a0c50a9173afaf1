"""Which car a seed stands for: its kind, its measures in metres, and its colours.

A car stands on z = 0 with its nose towards +x; +y is its left. The side view is a line from the nose to the tail: up
the front, along the bonnet to the windscreen's foot, up the windscreen, along the roof, down the rear window, along
the boot and down the tail.
"""

from collections.abc import Mapping
from typing import TypeAlias

import attrs
import torch
from torch import Tensor

from inrkit import Dice

Span: TypeAlias = tuple[Tensor, Tensor]

KINDS = ("sedan", "hatchback", "estate", "suv", "van", "pickup", "sports", "bus", "truck", "mini")
SEDAN, HATCHBACK, ESTATE, SUV, VAN, PICKUP, SPORTS, BUS, TRUCK, MINI = range(len(KINDS))
ODDS = (0.18, 0.13, 0.09, 0.13, 0.10, 0.10, 0.10, 0.05, 0.05, 0.07)

# Lengths and heights in metres; places along the car (windscreen's foot and head, rear window's head and foot, axles)
# as parts of its length from the nose.
MEASURES = (
    "length", "width", "height", "clearance", "wheel", "belt", "bonnet", "boot", "sill",
    "foot", "head", "rear_head", "rear_foot", "front_axle", "rear_axle", "doors",
)  # fmt: skip
TYPICAL = (
    (4.60, 1.82, 1.46, 0.20, 0.34, 0.93, 0.74, 0.87, 0.96, 0.27, 0.42, 0.68, 0.84, 0.18, 0.79, 1.05),  # sedan
    (3.90, 1.74, 1.50, 0.19, 0.33, 0.93, 0.75, 0.91, 0.96, 0.24, 0.40, 0.83, 0.98, 0.18, 0.82, 1.00),  # hatchback
    (4.70, 1.82, 1.52, 0.20, 0.34, 0.94, 0.75, 0.92, 0.97, 0.26, 0.40, 0.89, 0.98, 0.18, 0.79, 1.05),  # estate
    (4.55, 1.90, 1.80, 0.32, 0.42, 1.12, 0.98, 1.10, 1.15, 0.25, 0.37, 0.90, 0.98, 0.19, 0.80, 1.05),  # suv
    (4.90, 1.95, 2.15, 0.25, 0.37, 1.20, 0.96, 1.18, 1.23, 0.09, 0.26, 0.97, 0.99, 0.17, 0.78, 1.30),  # van
    (5.20, 1.90, 1.80, 0.34, 0.43, 1.10, 0.98, 0.78, 1.13, 0.26, 0.37, 0.53, 0.57, 0.18, 0.77, 1.10),  # pickup
    (4.30, 1.88, 1.22, 0.14, 0.34, 0.84, 0.60, 0.80, 0.87, 0.35, 0.51, 0.66, 0.92, 0.18, 0.80, 9.00),  # sports
    (7.20, 2.25, 2.75, 0.30, 0.47, 1.30, 1.20, 1.28, 1.34, 0.01, 0.04, 0.98, 0.99, 0.20, 0.76, 1.15),  # bus
    (5.80, 2.10, 2.20, 0.42, 0.47, 0.82, 0.78, 0.80, 1.40, 0.01, 0.06, 0.24, 0.26, 0.14, 0.78, 9.00),  # truck
    (3.00, 1.64, 1.52, 0.19, 0.31, 0.88, 0.70, 0.84, 0.91, 0.19, 0.38, 0.76, 0.97, 0.17, 0.83, 9.00),  # mini
)

BODY_PAINTS = (
    "d6d6d2", "a6abb0", "6f757c", "2b2d31", "b3161f", "e0402a", "1d4fa8", "2f86d8", "1f7a46", "7fbf3f",
    "f2b90f", "f0801c", "19a39a", "6a3aa0", "7a4a2a", "c8b48a", "c24f86", "0f2f66", "5d1220", "8fb8d8",
)  # fmt: skip
CARGO_PAINTS = ("dcdcd8", "c9c4b4", "b9c7d6", "d3b87a", "c0433a", "3a6fb0")
RIMS = ("c8ccd0", "9aa0a6", "b8b8b8", "53565a")

# Colours by name, in the order of `Blueprint.colours`; the six boxes are mirrors, rails or walls, and what is carried.
MATERIALS = (
    "body", "lower", "roof", "stripe", "glass", "trim", "tyre", "rim", "lamp", "tail", "plate", "bumper",
    "box0", "box1", "box2", "box3", "box4", "box5",
)  # fmt: skip
MATERIAL = {name: i for i, name in enumerate(MATERIALS)}


@attrs.frozen(eq=False)
class Blueprint:
    """B cars: measures (B,) each by name, colours (B, 18, 3) as in ``MATERIALS``, and boxes (B, 6, 2, 3).

    A box is its lower and upper corner; one that is not there has them in the wrong order.
    """

    measures: Mapping[str, Tensor]
    colours: Tensor
    boxes: Tensor


def draw_blueprint(seeds: Tensor) -> Blueprint:
    """(B,) seeds -> the cars that they stand for."""
    dice = Dice(seeds)
    kind = dice.index(ODDS)
    m = _measures(dice, kind)
    has = _features(dice, kind)
    m["split"] = torch.where(has["police"], m["clearance"] + 0.55 * (m["belt"] - m["clearance"]), m["split"])
    boxes = _boxes(m, kind, has)
    # the top of everything, in the middle of which the origin will lie
    present = (boxes[..., 0, :] < boxes[..., 1, :]).all(-1)
    m["top"] = torch.maximum(m["height"], torch.where(present, boxes[..., 1, 2], 0.0).amax(1))
    m["bed"] = (kind == PICKUP).float()
    return Blueprint(m, _colours(dice, kind, has), boxes)


def _measures(dice: Dice, kind: Tensor) -> dict[str, Tensor]:
    """The typical car of the kind, with everything a little different; in metres, x towards the nose."""
    typical = torch.tensor(TYPICAL, device=kind.device)[kind]
    m = dict(zip(MEASURES, typical.unbind(-1), strict=True))
    for name, vary in (("length", 0.09), ("width", 0.04), ("height", 0.05), ("wheel", 0.07), ("doors", 0.08)):
        m[name] = m[name] * dice.uniform(1 - vary, 1 + vary)
    lift = dice.uniform(-0.04, 0.06)
    for name in ("clearance", "belt", "bonnet", "boot", "sill"):
        m[name] = m[name] + lift
    m["bonnet"] = torch.minimum(m["bonnet"] + dice.uniform(-0.06, 0.08), m["belt"] - 0.03)
    m["boot"] = torch.minimum(m["boot"] + dice.uniform(-0.06, 0.06), m["belt"] - 0.01)
    m["height"] = torch.maximum(m["height"], m["belt"] + 0.36)
    # pointed ends have no room to move
    inner = (m["foot"] > 0.05).float()
    for name in ("foot", "head", "rear_head"):
        m[name] = m[name] + inner * dice.uniform(-0.03, 0.03)
    for name in ("foot", "head", "rear_head", "rear_foot", "front_axle", "rear_axle"):
        m[name] = (0.5 - m[name]) * m["length"]
    m["nose"] = m["length"] / 2
    # wheels do not come out through the bonnet
    rise = (m["nose"] - m["front_axle"]) / (m["nose"] - m["foot"])
    m["wheel"] = torch.minimum(m["wheel"], 0.49 * (m["bonnet"] + (m["belt"] - m["bonnet"]) * rise.clamp(max=1)))
    m["inset"] = dice.uniform(0.03, 0.08)
    m["tumble"] = torch.where((kind == VAN) | (kind == BUS) | (kind == TRUCK), 0.05, 0.22) * dice.uniform(0.7, 1.3)
    m["round_front"] = dice.uniform(0.10, 0.28)
    m["round_side"] = dice.uniform(0.06, 0.14)
    m["split"] = torch.where(dice.chance(0.16), m["clearance"] + 0.5 * (m["belt"] - m["clearance"]), -1.0)
    m["spokes"] = torch.where(dice.chance(0.5), dice.uniform(4.6, 8.4).round(), 0.0)
    panel = (kind == VAN) & dice.chance(0.5)
    m["glass_from"] = torch.where(panel, m["head"] - 0.75, -m["nose"])
    m["racing"] = ((kind == SPORTS) | (kind == MINI) | (kind == HATCHBACK)).float() * dice.chance(0.3)
    m["band"] = dice.chance(torch.where((kind == BUS) | (kind == VAN), 0.5, 0.08)).float()
    return m


def _features(dice: Dice, kind: Tensor) -> dict[str, Tensor]:
    """What some cars carry: (B,) bool each."""
    u = dice.uniform()
    is_sedan, is_tall = kind == SEDAN, (kind == SUV) | (kind == VAN)
    return {
        "taxi": is_sedan & (u < 0.12),
        "police": (is_sedan & (u > 0.90)) | ((kind == SUV) & (u > 0.92)),
        "ambulance": (kind == VAN) & (u > 0.84),
        "fire": (kind == TRUCK) & (u > 0.80),
        "rails": ((kind == ESTATE) | is_tall) & dice.chance(0.45),
        "spoiler": ((kind == SPORTS) & dice.chance(0.6)) | ((kind == HATCHBACK) & (u < 0.2)),
        "roof_box": (kind == ESTATE) & (u < 0.25),
    }


def _boxes(m: Mapping[str, Tensor], kind: Tensor, has: Mapping[str, Tensor]) -> Tensor:
    """(B, 6, 2, 3), what stands out of the car."""
    half, tail, foot, zero = m["width"] / 2, -m["nose"], m["foot"] - 0.10, torch.zeros_like(m["width"])

    def around(middle: Tensor, reach: Tensor | float) -> Span:
        return middle - reach, middle + reach

    def side(left: bool, inner: Tensor, outer: Tensor) -> Span:
        return (inner, outer) if left else (-outer, -inner)

    def roof(low: float, high: float) -> Span:
        return m["height"] + low, m["height"] + high

    def choose(*options: tuple[Tensor, Tensor]) -> Tensor:
        chosen = _box(*[(zero, zero - 1)] * 3)
        for present, corners in options:
            chosen = torch.where(present[:, None, None], corners, chosen)
        return chosen

    mirrors, walls = [], []
    for left in (True, False):
        mirrors.append(
            _box((foot - 0.16, foot), side(left, half - 0.04, half + 0.13), (m["sill"] - 0.02, m["sill"] + 0.16))
        )
        edge = half - m["inset"] - m["tumble"] - m["round_side"]
        rail = _box((m["rear_head"] + 0.1, m["head"] - 0.1), side(left, edge - 0.06, edge), roof(-0.05, 0.08))
        bed = _box((tail + 0.02, m["rear_head"]), side(left, half - 0.09, half), (m["clearance"] + 0.3, m["belt"]))
        walls.append(choose((has["rails"], rail), (kind == PICKUP, bed)))
    gate = _box((tail, tail + 0.08), around(zero, half - 0.05), (m["clearance"] + 0.3, m["belt"]))
    wing = _box((tail + 0.02, tail + 0.30), around(zero, half - 0.12), (m["boot"] + 0.16, m["boot"] + 0.22))
    hatch = _box((m["rear_head"] - 0.28, m["rear_head"] + 0.1), around(zero, half - 0.3), roof(-0.06, 0.0))
    cargo = _box((tail, m["rear_foot"] - 0.10), around(zero, half), (m["belt"] - 0.05, m["height"] * 1.22))
    unit = _box((zero - 1.2, zero + 1.0), around(zero, 0.7), roof(-0.05, 0.18))
    trunk = _box((m["rear_head"] + 0.3, m["head"] - 0.3), around(zero, 0.35), roof(-0.05, 0.3))
    carried = choose(
        (kind == PICKUP, gate),
        (has["spoiler"] & (kind == SPORTS), wing),
        (has["spoiler"] & (kind == HATCHBACK), hatch),
        (kind == TRUCK, cargo),
        (kind == BUS, unit),
        (has["roof_box"], trunk),
    )
    sign = _box(around((m["head"] + m["rear_head"]) / 2, 0.1), around(zero, 0.3), roof(-0.05, 0.17))
    bar = _box(around(m["head"] - 0.25, 0.15), around(zero, 0.6), roof(-0.05, 0.16))
    signal = choose((has["taxi"], sign), (has["police"] | has["ambulance"] | has["fire"], bar))
    return torch.stack([*mirrors, *walls, carried, signal], 1)


def _box(x: Span, y: Span, z: Span) -> Tensor:
    """(B, 2, 3)"""
    return torch.stack([torch.stack(corner, -1) for corner in zip(x, y, z, strict=True)], -2)


def _colours(dice: Dice, kind: Tensor, has: Mapping[str, Tensor]) -> Tensor:
    """(B, 18, 3)."""
    body, other = dice.colour(BODY_PAINTS, 0.05), dice.colour(BODY_PAINTS, 0.05)
    cargo, rim = dice.colour(CARGO_PAINTS, 0.04), dice.colour(RIMS, 0.04)

    def fixed(red: float, green: float, blue: float) -> Tensor:
        return body.new_tensor((red, green, blue)).expand_as(body)

    def where(mask: Tensor, yes: Tensor, no: Tensor) -> Tensor:
        return torch.where(mask[:, None], yes, no)

    pale, dark = fixed(0.88, 0.88, 0.86), fixed(0.24, 0.24, 0.26)
    special = has["police"] | has["ambulance"]
    body = where(
        has["taxi"], fixed(0.95, 0.76, 0.08), where(special, pale, where(has["fire"], fixed(0.8, 0.1, 0.08), body))
    )
    two_tone = dice.chance(torch.where((kind == MINI) | (kind == SPORTS), 0.45, 0.22))
    roof = where(two_tone, where(dice.chance(0.5), pale, where(dice.chance(0.5), dark, other)), body)
    roof = where(has["police"], pale, roof)
    other = where(has["police"], fixed(0.08, 0.14, 0.36), other)
    tint = dice.uniform(0.0, 0.08)[:, None]
    glass = fixed(0.11, 0.14, 0.19) + tint * fixed(0.6, 1.0, 1.3)
    stripe = where(has["ambulance"], fixed(0.85, 0.12, 0.1), where((body.mean(-1) > 0.5), dark, pale))
    bumper = where(dice.chance(0.4), fixed(0.2, 0.2, 0.21), body)
    carried = where(kind == TRUCK, where(has["fire"], body, cargo), where(kind == BUS, pale * 0.9, body))
    carried = where(has["roof_box"], dark, carried)
    signal = where(has["taxi"], fixed(0.98, 0.9, 0.45), fixed(0.1, 0.2, 0.9))
    rail = where(kind == PICKUP, body, fixed(0.25, 0.25, 0.27))
    by_name = {
        "body": body, "lower": other, "roof": roof, "stripe": stripe, "glass": glass,
        "trim": fixed(0.07, 0.07, 0.08), "tyre": fixed(0.06, 0.06, 0.065), "rim": rim,
        "lamp": fixed(1.0, 0.96, 0.78), "tail": fixed(0.8, 0.05, 0.05), "plate": fixed(0.85, 0.85, 0.7),
        "bumper": bumper, "box0": body, "box1": body, "box2": rail, "box3": rail, "box4": carried, "box5": signal,
    }  # fmt: skip
    return torch.stack([by_name[name] for name in MATERIALS], 1).clamp(0, 1)
