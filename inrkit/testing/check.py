"""What a check is: a small function with a name and a law, which raises when the law does not hold."""

from collections.abc import Callable
from typing import Any, final

import attrs
import torch
from torch import Tensor

from inrkit.testing.subject import Subject


class UnmetError(AssertionError):
    """A law that does not hold; the message says what was expected and what was found."""


class NotAskedError(Exception):
    """A law that says nothing about this modality; the message says why."""


@final
@attrs.frozen
class Check:
    """One law that every modality keeps, or everything of another kind."""

    name: str
    law: str
    function: Callable[[Any], None]


CHECKS: dict[str, Check] = {}
"""All checks by name."""


def check(function: Callable[[Subject], None]) -> Callable[[Subject], None]:
    """Adds a function to `CHECKS` under its own name; its docstring is the law."""
    law = " ".join((function.__doc__ or "").split())
    CHECKS[function.__name__] = Check(function.__name__, law, function)
    return function


def expect(holds: object, message: str) -> None:
    """Raises `UnmetError` unless something holds."""
    if not holds:
        raise UnmetError(message)


def expect_alike(found: Tensor, wanted: Tensor, what: str, tolerance: float = 1e-4) -> None:
    """Raises `UnmetError` unless two tensors agree up to rounding."""
    expect(found.shape == wanted.shape, f"{what}: expected shape {tuple(wanted.shape)}, found {tuple(found.shape)}")
    if not found.numel():
        return
    scale = max(1.0, float(wanted.abs().max()))
    worst = float((found.double() - wanted.double()).abs().max())
    expect(worst <= tolerance * scale, f"{what}: expected equal values, found a difference of {worst:.3g}")


def expect_finite(values: Tensor, what: str) -> None:
    """Raises `UnmetError` unless all values are finite."""
    bad = int((~torch.isfinite(values)).sum())
    expect(bad == 0, f"{what}: expected finite values, found {bad} of {values.numel()} that are not")
