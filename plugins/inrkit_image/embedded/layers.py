"""What lies before what in a face: its layers, from front to back."""

import functools
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

TUFTS = 7
"""Tufts of hair that a face can have."""


def layers(part: Callable[[str], Tensor]) -> Iterator[tuple[Tensor | float, str]]:
    """Coverage and colour's name of each layer from front to back, where ``part(name)`` is an ellipse's coverage."""
    head = either(part("skull"), part("jaw"))
    hair = without(part("scalp"), part("parting"))
    yield part("brim"), "brim"
    yield without(part("crown"), part("crown cut")), "hat"
    yield hair * part("gloss"), "gloss"
    yield hair, "hair"
    yield from _glasses(part)
    yield from _eyes(part)
    yield head * part("nose light"), "skin"
    yield part("nose"), "nose"
    yield either(part("left moustache"), part("right moustache")), "beard"
    mouth = without(part("mouth"), part("mouth cut"))
    yield mouth * part("teeth"), "teeth"
    yield mouth * part("tongue"), "tongue"
    yield mouth, "mouth"
    yield without(head, part("beard cut")), "beard"
    yield head * either(part("left cheek"), part("right cheek")), "cheek"
    yield head * part("lit"), "skin"
    yield either(head, either(part("left ear"), part("right ear"))), "shade"
    shirt = without(part("shirt"), part("collar"))
    yield shirt * part("shirt light"), "shirt light"
    yield shirt, "shirt"
    yield either(part("neck"), part("shirt")), "neck"
    tufts = [part(f"tuft {i}") for i in range(TUFTS)]
    yield functools.reduce(either, tufts), "tuft"
    yield part("hair behind"), "hair behind"
    yield part("glow"), "glow"
    yield part("sky"), "sky"
    yield 1.0, "ground"


def either(a: Tensor, b: Tensor) -> Tensor:
    """The coverage of a union of shapes that overlap or keep apart."""
    return torch.maximum(a, b)


def without(a: Tensor, b: Tensor) -> Tensor:
    """The coverage of what is left of ``a``: a (1 - b)."""
    return torch.addcmul(a, a, b, value=-1)


def _glasses(part: Callable[[str], Tensor]) -> Iterator[tuple[Tensor, str]]:
    lenses = either(part("left lens"), part("right lens"))
    yield lenses * part("tint"), "lens"
    rims = either(either(part("left rim"), part("right rim")), part("bridge"))
    yield without(rims, lenses), "rim"


def _eyes(part: Callable[[str], Tensor]) -> Iterator[tuple[Tensor, str]]:
    yield either(part("left brow"), part("right brow")), "brow"
    for side in ("left ", "right "):
        eye = part(side + "eye")
        visible = eye * part(side + "open")
        yield visible * part(side + "glint"), "glint"
        yield visible * part(side + "pupil"), "pupil"
        yield visible * part(side + "iris"), "iris"
        yield visible, "white"
        yield eye, "lid"
        yield part(side + "lash"), "lash"


COLOURS = tuple(colour for _, colour in layers(lambda _: torch.zeros(())))
