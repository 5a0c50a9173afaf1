"""What lies before what in a face: its layers, from front to back."""

import functools
from collections.abc import Iterator
from typing import Protocol

from inrkit_image.embedded.patch import NOTHING, Patch, either, without

TUFTS = 7
"""Tufts of hair that a face can have."""


class Part(Protocol):
    """An ellipse by its name; of one that only adds to or takes from another shape, just what lies ``within`` that."""

    def __call__(self, name: str, within: Patch | None = None) -> Patch: ...


def layers(part: Part) -> Iterator[tuple[Patch | None, str]]:
    """Coverage and colour's name of each layer from front to back; the last, None, is everywhere."""
    head = either(part("skull"), part("jaw"))
    hair = _cut(part, part("scalp"), "parting")
    yield part("brim"), "brim"
    yield _cut(part, part("crown"), "crown cut"), "hat"
    yield hair * part("gloss", hair), "gloss"
    yield hair, "hair"
    yield from _glasses(part)
    yield from _eyes(part)
    yield head * part("nose light", head), "skin"
    yield part("nose"), "nose"
    yield either(part("left moustache"), part("right moustache")), "beard"
    mouth = _cut(part, part("mouth"), "mouth cut")
    yield mouth * part("teeth", mouth), "teeth"
    yield mouth * part("tongue", mouth), "tongue"
    yield mouth, "mouth"
    yield _cut(part, head, "beard cut"), "beard"
    yield head * either(part("left cheek", head), part("right cheek", head)), "cheek"
    yield head * part("lit", head), "skin"
    yield either(head, either(part("left ear"), part("right ear"))), "shade"
    shirt = _cut(part, part("shirt"), "collar")
    yield shirt * part("shirt light", shirt), "shirt light"
    yield shirt, "shirt"
    yield either(part("neck"), part("shirt")), "neck"
    tufts = [part(f"tuft {i}") for i in range(TUFTS)]
    yield functools.reduce(either, tufts), "tuft"
    yield part("hair behind"), "hair behind"
    yield part("glow"), "glow"
    yield part("sky"), "sky"
    yield None, "ground"


def _cut(part: Part, shape: Patch, name: str) -> Patch:
    return without(shape, part(name, shape))


def _glasses(part: Part) -> Iterator[tuple[Patch, str]]:
    lenses = either(part("left lens"), part("right lens"))
    yield lenses * part("tint", lenses), "lens"
    rims = either(either(part("left rim"), part("right rim")), part("bridge"))
    yield without(rims, lenses), "rim"


def _eyes(part: Part) -> Iterator[tuple[Patch, str]]:
    yield either(part("left brow"), part("right brow")), "brow"
    for side in ("left ", "right "):
        eye = part(side + "eye")
        visible = eye * part(side + "open", eye)
        yield visible * part(side + "glint", visible), "glint"
        yield visible * part(side + "pupil", visible), "pupil"
        yield visible * part(side + "iris", visible), "iris"
        yield visible, "white"
        yield eye, "lid"
        yield part(side + "lash"), "lash"


COLOURS = tuple(colour for _, colour in layers(lambda name, within=None: NOTHING))
