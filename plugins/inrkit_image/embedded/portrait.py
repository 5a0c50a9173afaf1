"""Who a face is: every seed's ellipses and colours.

Coordinates: the shorter side of the picture spans [-1, 1], x grows to the right and y downwards. A head is about 1.1
wide and 1.3 high. Parts with ``fixed=True`` stay put when the head tilts.
"""

import itertools
import math

import attrs
import torch
from torch import Tensor

from inrkit import Dice
from inrkit_image.embedded.ellipses import Ellipses, Similarity
from inrkit_image.embedded.layers import COLOURS, TUFTS

CLASS_NAMES = ("bald", "short", "spiky", "curly", "bob", "long", "bun", "pigtails")
BALD, SHORT, SPIKY, CURLY, BOB, LONG, BUN, PIGTAILS = range(len(CLASS_NAMES))

SKIN = ("ffdfc4", "f6cda4", "eab98a", "d9a06b", "bb7f4f", "9a643e", "7d4c2e", "68402b")
HAIR_COLOUR = (
    "2a211c", "4c3022", "7a4a26", "b5763a", "e6bd63", "a13d22", "8d8d94", "ebe4d8", "3d5fa8", "c95b8f", "4b8f6b",
)  # fmt: skip
IRIS = ("6b4628", "8a6832", "45875a", "417ac0", "678c9a", "4a3a30")
LIPS = ("b4534a", "c8645c", "9c3f40", "d0706c")
FRAME = ("20242c", "8a2f2f", "2d4f86", "6b4a2b", "3c6b52")

# An ellipse is a row (x, y, radius x, radius y, degrees); this one is out of the picture.
NOWHERE = (9.0, 9.0, 0.1, 0.1, 0.0)

# The mouth, and what is cut out of it: a crescent, a half disc (cut by a huge circle, nearly a line), a bean.
MOUTHS = (
    ((0.0, 0.345, 0.23, 0.145, 0.0), (0.0, 0.27, 0.27, 0.13, 0.0)),  # smile
    ((0.0, 0.320, 0.23, 0.200, 0.0), (0.0, -3.68, 4.0, 4.00, 0.0)),  # laugh
    ((0.0, 0.395, 0.17, 0.048, 0.0), NOWHERE),  # neutral
    ((0.0, 0.400, 0.10, 0.115, 0.0), NOWHERE),  # oh
    ((0.0, 0.470, 0.21, 0.120, 0.0), (0.0, 0.54, 0.25, 0.12, 0.0)),  # frown
)
LAUGH, OH = 1, 3
MOUTH_ODDS = (0.36, 0.28, 0.16, 0.10, 0.10)

# By kind of hair: the scalp's margin over the skull; the opening for the face; the hair behind the head.
CUTS = (
    (0.000, NOWHERE, NOWHERE),  # bald
    (0.045, (0.06, 0.42, 0.54, 0.80, 0.0), NOWHERE),  # short
    (0.040, (0.00, 0.44, 0.60, 0.80, 0.0), NOWHERE),  # spiky
    (0.060, (0.00, 0.42, 0.52, 0.76, 0.0), (0.0, -0.10, 0.66, 0.60, 0.0)),  # curly
    (0.060, (0.00, 0.60, 0.49, 0.90, 0.0), (0.0, 0.06, 0.70, 0.66, 0.0)),  # bob
    (0.060, (0.10, 0.44, 0.50, 0.84, 7.0), (0.0, 0.34, 0.74, 1.00, 0.0)),  # long
    (0.040, (0.00, 0.44, 0.52, 0.82, 0.0), NOWHERE),  # bun
    (0.045, (0.07, 0.44, 0.56, 0.84, 6.0), NOWHERE),  # pigtails
)

# Seven tufts for the kinds of hair that have them; the fan of angles is in radians from the crown.
_FAN = (-3, -2, -1, 0, 1, 2, 3)
TUFT_SHAPES = {
    SPIKY: [(0.50 * math.sin(0.46 * i), -0.12 - 0.52 * math.cos(0.46 * i), 0.15, 0.28, 26.4 * i) for i in _FAN],
    CURLY: [(0.60 * math.sin(0.56 * i), -0.14 - 0.52 * math.cos(0.56 * i), 0.24, 0.24, 0.0) for i in _FAN],
    BUN: [(0.0, -0.76, 0.23, 0.20, 0.0)],
    PIGTAILS: [(-0.72, 0.10, 0.17, 0.36, 16.0), (0.72, 0.10, 0.17, 0.36, -16.0)],
}


@attrs.frozen(eq=False)
class Portrait:
    """B faces: their K ellipses with K names, and the layers' colours (L, 3, B).

    The first ``hard`` ellipses have crisp outlines and are opaque.
    """

    ellipses: Ellipses
    names: tuple[str, ...]
    hard: int
    colours: Tensor

    def of(self, faces: Tensor) -> "Portrait":
        """Some of the faces."""
        return attrs.evolve(self, ellipses=self.ellipses.of(faces), colours=self.colours[:, :, faces])


class Sketch:
    """Collects named ellipses and colours for B faces; numbers stand for all faces, tensors (B,) for each its own."""

    def __init__(self, dice: Dice, kind: Tensor):
        self.dice, self.kind = dice, kind
        self.colours: dict[str, Tensor] = {}
        self._hard: dict[str, tuple[Tensor | float, ...]] = {}
        self._soft: dict[str, tuple[Tensor | float, ...]] = {}
        self._fixed: set[str] = set()

    def ellipse(
        self, name: str, *shape: Tensor | float, soft: float = 0.0, opacity: Tensor | float = 1.0, fixed: bool = False
    ) -> None:
        """Add one: x, y, its two radii, and the angle if it is turned; ``soft``: the width of its fading outline."""
        rows = self._soft if soft else self._hard
        rows[name] = (*(*shape, 0.0)[:5], soft, opacity)
        if fixed:
            self._fixed.add(name)

    def table(self, name: str, rows: Tensor, *, dx: Tensor | float = 0.0, dy: Tensor | float = 0.0) -> None:
        """Add one from a table's rows (B, 5), of which the angle is in degrees."""
        x, y, rx, ry, degrees = rows.unbind(-1)
        self.ellipse(name, x + dx, y + dy, rx, ry, torch.deg2rad(degrees))

    def finish(self, pose: Similarity) -> Portrait:
        """Turn the head by ``pose``, which maps the upright head into the picture."""
        names = (*self._hard, *self._soft)
        numbers = list(itertools.chain(*self._hard.values(), *self._soft.values()))
        own = [i for i, number in enumerate(numbers) if isinstance(number, Tensor)]
        shared = [0.0 if isinstance(number, Tensor) else number for number in numbers]
        table = torch.tensor(shared, device=self.kind.device)[:, None].repeat(1, len(self.kind))
        table[own] = torch.stack([number for number in numbers if isinstance(number, Tensor)])
        fixed = torch.tensor([name in self._fixed for name in names], device=table.device)[:, None]
        ellipses = Ellipses(*table.unflatten(0, (len(names), -1)).transpose(0, 1).contiguous()).moved(pose, fixed)
        colours = torch.stack([self.colours[name] for name in COLOURS]).transpose(1, 2).contiguous()
        return Portrait(ellipses, names, len(self._hard), colours)


def _pick(rows: object, index: Tensor) -> Tensor:
    return torch.tensor(rows, device=index.device)[index]


def _mixed(a: Tensor, b: Tensor | float, amount: float) -> Tensor:
    return a + (b - a) * amount


def _hue(dice: Dice, light: tuple[float, float], colourful: tuple[float, float], hue: Tensor | None = None) -> Tensor:
    """(B, 3): the given hue (B,), where 1 is a full turn, or any; light and colourful within bounds."""
    turn = dice.uniform() if hue is None else hue
    wave = torch.cos(2 * math.pi * (turn[:, None] + torch.arange(3, device=turn.device) / 3))
    return (dice.uniform(*light)[:, None] + dice.uniform(*colourful)[:, None] * wave).clamp(0, 1)


def describe(seeds: Tensor) -> Portrait:
    """(B,) int64 -> who these faces are. The first throw of the dice is the kind of hair."""
    dice = Dice(seeds)
    sketch = Sketch(dice, dice.index(len(CLASS_NAMES)))
    pose = Similarity(
        dice.uniform(-0.13, 0.13), dice.uniform(0.92, 1.04), dice.uniform(-0.05, 0.05), dice.uniform(0.02, 0.08)
    )
    yaw = dice.uniform(-0.05, 0.05)
    half = _draw_head(sketch, yaw)
    _draw_eyes(sketch, yaw)
    _draw_mouth(sketch, yaw)
    _draw_hair(sketch, half)
    _draw_hat(sketch, half)
    _draw_scene(sketch, half)
    return sketch.finish(pose)


def face_labels(seeds: Tensor) -> Tensor:
    """(B,) int64 index into ``CLASS_NAMES``, without describing the rest."""
    return Dice(seeds).index(len(CLASS_NAMES))


def _draw_head(sketch: Sketch, yaw: Tensor) -> Tensor:
    """Skull, jaw, ears, cheeks and nose; returns the head's half width (B,)."""
    dice, add, colour = sketch.dice, sketch.ellipse, sketch.colours
    half, long = dice.uniform(0.50, 0.59), dice.uniform(0.60, 0.69)
    add("skull", 0, -0.09, half, 0.53)
    add("jaw", yaw * 0.3, long - 0.47, half * dice.uniform(0.78, 0.98), 0.48)
    add("lit", -0.16, -0.14, 0.50, 0.62, soft=0.55)
    ear = dice.uniform(0.09, 0.13)
    for side, name in ((-1, "left"), (1, "right")):
        add(f"{name} ear", side * half, 0.06, ear, ear * 1.3)
        add(f"{name} cheek", side * 0.33 + yaw, 0.22, 0.15, 0.11, soft=0.14, opacity=dice.uniform(0.2, 0.6))
    size = dice.uniform(0.07, 0.11)
    add("nose", yaw * 1.5, 0.17, size, size * dice.uniform(0.75, 1.15), soft=0.03)
    add("nose light", yaw * 1.5 - 0.02, 0.15, size * 0.7, size * 0.6, soft=0.08, opacity=0.7)
    skin = dice.colour(SKIN, 0.03)
    colour["skin"] = skin
    colour["shade"] = skin * skin.new_tensor((0.86, 0.80, 0.78))
    colour["neck"] = skin * skin.new_tensor((0.76, 0.68, 0.66))
    colour["nose"] = skin * skin.new_tensor((0.84, 0.70, 0.66))
    colour["cheek"] = _mixed(skin, skin.new_tensor((0.92, 0.36, 0.34)), 0.5)
    colour["lid"] = skin * skin.new_tensor((0.80, 0.72, 0.70))
    return half


def _draw_eyes(sketch: Sketch, yaw: Tensor) -> None:
    """Eyes with lids, lashes and gaze, brows, and now and then glasses."""
    dice, add, colour = sketch.dice, sketch.ellipse, sketch.colours
    apart, rx, ry = dice.uniform(0.235, 0.265), dice.uniform(0.145, 0.170), dice.uniform(0.140, 0.180)
    look_x, look_y = dice.uniform(-0.05, 0.05), dice.uniform(-0.03, 0.04)
    iris = rx * dice.uniform(0.58, 0.68)
    lid = dice.uniform(0.0, 1.0).square() * 0.09  # how far a lid covers the eye; mostly hardly
    slant, tilt, lift = dice.uniform(-0.12, 0.12), dice.uniform(-0.28, 0.28), dice.uniform(0.065, 0.09)
    thick = dice.uniform(0.040, 0.055)
    wears, dark, square = dice.chance(0.08), dice.chance(0.4), dice.uniform(0.85, 1.0)
    away = torch.where(wears, 0.0, 9.0)
    for side, name in ((-1, "left "), (1, "right ")):
        x = side * apart + yaw
        add(name + "eye", x, 0, rx, ry, side * slant)
        add(name + "lash", x, -0.024, rx + 0.01, ry + 0.01, side * slant)
        add(name + "open", x, 2.97 - ry + lid, 3.0, 3.0)
        add(name + "iris", x + look_x, look_y, iris, iris)
        add(name + "pupil", x + look_x, look_y, iris * 0.56, iris * 0.56)
        add(name + "glint", x + look_x - 0.035, look_y - 0.04, 0.030, 0.030)
        add(name + "brow", x * 1.04, -ry - lift, 0.145, thick, side * tilt)
        add(name + "rim", x + away, 0.01, 0.27, 0.27 * square)
        add(name + "lens", x + away, 0.01, 0.2, 0.27 * square - 0.07)
    add("tint", 0, 0, 99, 99, soft=0.1, opacity=torch.where(dark, 0.95, 0.12))
    add("bridge", yaw + away, 0.0, 0.10, 0.035)
    colour["white"] = torch.full_like(colour["skin"], 0.88)
    colour["iris"] = dice.colour(IRIS, 0.03)
    colour["pupil"] = torch.full_like(colour["skin"], 0.22)
    colour["lash"] = colour["lid"] * 0.6
    colour["glint"] = torch.full_like(colour["skin"], 0.88)
    colour["rim"] = dice.colour(FRAME, 0.03)
    colour["lens"] = torch.where(dark[:, None], colour["rim"] * 0.35, 0.95)


def _draw_mouth(sketch: Sketch, yaw: Tensor) -> None:
    """Mouth, teeth and tongue, and on some faces a beard or a moustache."""
    dice, add, colour = sketch.dice, sketch.ellipse, sketch.colours
    kind = dice.index(MOUTH_ODDS)
    down = dice.uniform(-0.01, 0.025)
    shape = _pick(MOUTHS, kind)
    wide = torch.ones_like(shape[:, :1])
    wide[..., 2] = dice.uniform(0.88, 1.12)[:, None]
    for name, row in zip(("mouth", "mouth cut"), (shape * wide).unbind(1), strict=True):
        sketch.table(name, row, dx=yaw, dy=down)
    laugh = kind == LAUGH
    add("teeth", yaw + torch.where(laugh, 0.0, 9.0), 0.33 + down, 0.19, 0.055)
    add("tongue", yaw + torch.where(laugh, 0.0, 9.0), 0.55 + down, 0.15, 0.10)
    young = (sketch.kind == BUN) | (sketch.kind == PIGTAILS)
    beard, moustache = dice.chance(0.12) & ~young, dice.chance(0.08) & ~young
    add(
        "beard cut",
        yaw * 0.5,
        torch.where(beard, -0.06, 0.6),
        torch.where(beard, dice.uniform(0.46, 0.50), 9.0),
        torch.where(beard, dice.uniform(0.28, 0.36), 9.0),
    )
    for side, name in ((-1, "left"), (1, "right")):
        add(f"{name} moustache", side * 0.11 + yaw + torch.where(moustache, 0.0, 9.0), 0.275, 0.15, 0.055, side * 0.25)
    open_wide = (laugh | (kind == OH))[:, None]
    lips = dice.colour(LIPS, 0.03)
    colour["mouth"] = torch.where(open_wide, lips.new_tensor((0.36, 0.09, 0.11)), _mixed(lips, colour["neck"], 0.35))
    colour["teeth"] = torch.full_like(lips, 0.95)
    colour["tongue"] = torch.zeros_like(lips) + lips.new_tensor((0.86, 0.40, 0.42))


def _draw_hair(sketch: Sketch, half: Tensor) -> None:
    """The cap over the skull with its opening, the hair behind the head, and tufts: curls, spikes, a bun, pigtails."""
    dice, add, colour, kind = sketch.dice, sketch.ellipse, sketch.colours, sketch.kind
    mirror = torch.where(dice.chance(0.5), 1.0, -1.0)
    flip = torch.stack((mirror, *[torch.ones_like(mirror)] * 3, mirror), -1)
    margin = _pick([cut[0] for cut in CUTS], kind)
    add("scalp", torch.where(kind == BALD, 9.0, 0.0), -0.10, half + margin, 0.54 + margin)
    sketch.table("parting", _pick([cut[1] for cut in CUTS], kind) * flip, dy=dice.uniform(-0.05, 0.05))
    behind = _pick([cut[2] for cut in CUTS], kind)
    stretch = torch.ones_like(behind)
    stretch[:, 2] = (half + 0.02) / 0.56
    sketch.table("hair behind", behind * stretch)
    shapes = [(TUFT_SHAPES.get(i, []) + [NOWHERE] * TUFTS)[:TUFTS] for i in range(len(CLASS_NAMES))]
    tufts = _pick(shapes, kind)
    for i in range(TUFTS):
        sketch.table(f"tuft {i}", tufts[:, i])
    add("gloss", -0.14, -0.52, 0.26, 0.14, -0.25, soft=0.22, opacity=dice.uniform(0.15, 0.5))
    hair = dice.colour(HAIR_COLOUR, 0.03)
    colour["hair"], colour["hair behind"] = hair, hair * 0.74
    colour["gloss"] = _mixed(hair, hair.new_ones(3), 0.35)
    colour["tuft"] = hair * 0.88
    colour["beard"] = hair * 0.92
    colour["brow"] = _mixed(hair * 0.62, colour["neck"] * 0.6, 0.35)


def _draw_hat(sketch: Sketch, half: Tensor) -> None:
    """A hat now and then, on hair that it leaves recognisable."""
    dice, add, colour, kind = sketch.dice, sketch.ellipse, sketch.colours, sketch.kind
    fits = (kind == BALD) | (kind == SHORT) | (kind == BOB) | (kind == LONG)
    away = torch.where(dice.chance(0.14) & fits, 0.0, 9.0)
    brim = dice.uniform(0.0, 0.22)
    add("brim", away, -0.40, half + 0.06 + brim, 0.075)
    add("crown", away, -0.42, half + 0.01, dice.uniform(0.40, 0.52))
    add("crown cut", away, 3.60, 4.0, 4.0)
    colour["hat"] = _hue(dice, (0.35, 0.65), (0.10, 0.30))
    colour["brim"] = colour["hat"] * 0.72


def _draw_scene(sketch: Sketch, half: Tensor) -> None:
    """Neck, shoulders and the background's two colours."""
    dice, add, colour = sketch.dice, sketch.ellipse, sketch.colours
    add("neck", 0, 0.75, half * 0.48, 0.5)
    wide = dice.uniform(0.74, 0.94)
    add("shirt", 0, 1.38, wide, 0.66, fixed=True)
    add("collar", 0, 0.72, half * 0.42, dice.uniform(0.12, 0.30), fixed=True)
    add("shirt light", -0.3, 1.2, 0.5, 0.4, soft=0.7, fixed=True)
    angle, far = dice.uniform(0, 2 * math.pi), 6.0
    add("sky", far * angle.cos(), far * angle.sin(), far, far, soft=1.6, fixed=True)
    add("glow", 0, -0.1, 0.75, 0.75, soft=0.9, opacity=dice.uniform(0.0, 0.45), fixed=True)
    colour["shirt light"] = _hue(dice, (0.40, 0.75), (0.08, 0.30))
    colour["shirt"] = colour["shirt light"] * 0.78
    hue = dice.uniform()
    colour["sky"] = _hue(dice, (0.60, 0.85), (0.08, 0.22), hue)
    colour["ground"] = _hue(dice, (0.40, 0.75), (0.08, 0.24), hue + dice.uniform(-0.17, 0.17))
    colour["glow"] = _mixed(colour["sky"], colour["sky"].new_ones(3), 0.6)
