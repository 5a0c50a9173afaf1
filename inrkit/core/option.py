"""Options: what one means stands beside it, for the documentation, and a wrong value is refused by name."""

import math
import re
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, final

import attrs

from inrkit.errors import UsageError, did_you_mean

T = TypeVar("T")
READOUT_NAMES = ("literal", "two-headed", "direct")
_DEVICE = re.compile(r"auto|(cpu|cuda|mps|xpu)(:\d+)?")
Check = Callable[[Any, Any, Any], None]
"""Called with an instance, its attribute and the value, of which it complains with a `UsageError`."""


def option(default: T, help: str, check: Check | None = None, *, of: tuple[str, str] | None = None) -> T:
    """A field of an attrs class whose help text the documentation shows.

    Args:
        default: Its value unless something is said. To a type checker the field has a value of this type.
        help: What it means, in one line.
        check: Called with instance, attribute and value, such as `inrkit.at_least` gives.
        of: Another option and its value without which this one means nothing, such as ("function", "anr"): whoever
            sets it then is told so.
    """
    field: T = attrs.field(default=default, metadata={"help": help, "of": of}, validator=check)
    return field


def check_used(options: Any, names: Iterable[str]) -> None:
    """`UsageError` where one of these options would be ignored, because of how another one is set."""
    for name in names:
        field = attrs.fields_dict(type(options)).get(name)
        of = None if field is None else field.metadata.get("of")
        if of is not None and (found := getattr(options, of[0], of[1])) != of[1]:
            raise UsageError(
                f"'options.{name}' is for the {of[0]} '{of[1]}', but 'options.{of[0]}' is '{found}'; leave it out, or "
                f"set options.{of[0]}_options, which are those of '{found}'"
            )


@final
@attrs.frozen
class Bounds:
    """A check that a number is finite and lies within bounds; None, where a type allows it, passes.

    Args:
        what: The bounds, in words.
        low, high: The least and the greatest number that is allowed.
    """

    what: str
    low: float = -math.inf
    high: float = math.inf

    def __call__(self, instance: Any, attribute: Any, value: Any) -> None:
        if value is not None and not (math.isfinite(value) and self.low <= value <= self.high):
            raise UsageError(f"'{attribute.name}' must be {self.what} (got {value})")


def bounded(what: str, holds: Callable[[Any], bool]) -> Check:
    """A check that a number is finite and keeps a bound, said in words; None, where a type allows it, passes."""

    def check(instance: Any, attribute: Any, value: Any) -> None:
        if value is not None and not (math.isfinite(value) and holds(value)):
            raise UsageError(f"'{attribute.name}' must be {what} (got {value})")

    return check


def at_least(low: float) -> Check:
    """A check that a number is not below a bound."""
    return Bounds(f"at least {low}", low)


def between(low: float, high: float) -> Check:
    """A check that a number is not outside of two bounds."""
    return Bounds(f"from {low} to {high}", low, high)


POSITIVE = Bounds("> 0", math.nextafter(0, 1))
AT_LEAST_0 = Bounds(">= 0", 0)
AT_LEAST_1, AT_LEAST_2 = at_least(1), at_least(2)
SHARE = between(0, 1)
BELOW_1 = Bounds("from 0 to less than 1", 0, math.nextafter(1, 0))


def check_device(name: str) -> None:
    """`UsageError` for what is the name of no device; whether this machine has it, `choose_device` knows."""
    if not _DEVICE.fullmatch(name):
        raise UsageError(f"'device' must be auto, cpu, cuda, mps, xpu, or one of several as cuda:1 (got '{name}')")


def check_readout(name: str) -> None:
    """`UsageError` for what is the name of no read-out."""
    if name not in READOUT_NAMES:
        hint = did_you_mean(name, READOUT_NAMES)
        raise UsageError(f"no read-out named '{name}'; there are {', '.join(READOUT_NAMES)}.{hint}")
