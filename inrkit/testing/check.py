"""What a check is: a small function with a name and a law, which raises when the law does not hold."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar, final

import attrs
import torch
from torch import Tensor

from inrkit.errors import InrkitError

_Function = TypeVar("_Function", bound=Callable[[Any], None])


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
"""All checks of modalities by name."""


def law(checks: dict[str, Check]) -> Callable[[_Function], _Function]:
    """Adds a function to some checks under its own name; its docstring is the law."""

    def add(function: _Function) -> _Function:
        text = " ".join((function.__doc__ or "").split())
        checks[function.__name__] = Check(function.__name__, text, function)
        return function

    return add


check = law(CHECKS)


def expect(holds: object, message: str) -> None:
    """Raises `UnmetError` unless something holds."""
    if not holds:
        raise UnmetError(message)


def expect_shape(found: Tensor, wanted: Sequence[int], what: str) -> None:
    """Raises `UnmetError` unless a tensor has this shape."""
    expect(found.shape == tuple(wanted), f"{what}: expected shape {tuple(wanted)}, found {tuple(found.shape)}")


def expect_float32(values: Tensor, what: str) -> None:
    """Raises `UnmetError` unless all values are finite numbers in float32."""
    expect(values.dtype == torch.float32, f"{what}: expected float32, found {values.dtype}")
    expect_finite(values, what)


def expect_alike(found: Tensor, wanted: Tensor, what: str, tolerance: float = 1e-4) -> None:
    """Raises `UnmetError` unless two tensors agree up to rounding."""
    expect_shape(found, wanted.shape, what)
    if not found.numel():
        return
    scale = max(1.0, float(wanted.abs().max()))
    worst = float((found.double() - wanted.double()).abs().max())
    expect(worst <= tolerance * scale, f"{what}: expected equal values, found a difference of {worst:.3g}")


def expect_finite(values: Tensor, what: str) -> None:
    """Raises `UnmetError` unless all values are finite."""
    bad = int((~torch.isfinite(values)).sum())
    expect(bad == 0, f"{what}: expected finite values, found {bad} of {values.numel()} that are not")


def expect_chance_alone(before: Tensor) -> None:
    """Raises `UnmetError` where torch's global generator is no longer in this state."""
    same = torch.equal(before, torch.get_rng_state())
    expect(same, "expected chance from `Draws` alone, found torch's global state moved")


@contextlib.contextmanager
def refused(what: str, kind: type[InrkitError] = InrkitError, wanted: str = "one of inrkit's errors") -> Iterator[None]:
    """Raises `UnmetError` unless its body ends in an error of this kind."""
    try:
        yield
    except kind:
        return
    except UnmetError:
        raise
    except Exception as error:
        raise UnmetError(f"{what}: expected {wanted}, found {error!r}") from error
    raise UnmetError(f"{what}: expected {wanted}, found that it was accepted")


@final
class Recorder:
    """A `Progress` that holds ``who`` calls it to the laws of it: a call that breaks one raises `UnmetError`."""

    def __init__(self, who: str) -> None:
        self.who = who
        self.calls: dict[str, list[tuple[int, int | None]]] = {}

    def __call__(self, done: int, total: int | None = None, what: str = "") -> None:
        told = f"{self.who}: progress({done!r}, {total!r}, {what!r})"
        fits = type(done) is int and (total is None or type(total) is int) and type(what) is str
        expect(fits, f"{told}: expected how much is done, how much there is or None, and a text")
        before = self.calls.setdefault(what, [])
        expect(0 <= done <= (done if total is None else total), f"{told}: expected 0 <= done <= total")
        if before:
            expect(done >= before[-1][0], f"{told}: expected at least {before[-1][0]}, as was done before")
            expect(total == before[-1][1], f"{told}: expected a total of {before[-1][1]}, as before")
        before.append((done, total))

    def finish(self) -> None:
        """After the work: something was told, and whatever was begun is done."""
        expect(self.calls, f"{self.who}: expected calls of 'progress', found none")
        for what, calls in self.calls.items():
            done, total = calls[-1]
            expect(total in (None, done), f"{self.who}: expected '{what}' to end at {total}, found {done}")
