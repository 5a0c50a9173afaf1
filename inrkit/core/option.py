"""Options: what one means stands beside it, for the documentation, and a wrong value is refused by name."""

import math
import re
from collections.abc import Callable
from typing import Any, TypeVar

import attrs

from inrkit.errors import UsageError, did_you_mean

T = TypeVar("T")
READOUT_NAMES = ("literal", "two-headed", "direct")
_DEVICE = re.compile(r"auto|(cpu|cuda|mps|xpu)(:\d+)?")
Check = Callable[[Any, Any, Any], None]
"""Called with an instance, its attribute and the value, of which it complains with a `UsageError`."""


def option(default: T, help: str, check: Check | None = None) -> T:
    """A field of an attrs class whose help text the documentation shows.

    Args:
        default: Its value unless something is said. To a type checker the field has a value of this type.
        help: What it means, in one line.
        check: Called with instance, attribute and value, such as `inrkit.at_least` gives.
    """
    field: T = attrs.field(default=default, metadata={"help": help}, validator=check)
    return field


def bounded(what: str, holds: Callable[[Any], bool]) -> Check:
    """A check that a number is finite and keeps a bound, said in words; None, where a type allows it, passes."""

    def check(instance: Any, attribute: Any, value: Any) -> None:
        if value is not None and not (math.isfinite(value) and holds(value)):
            raise UsageError(f"'{attribute.name}' must be {what} (got {value})")

    return check


def at_least(low: float) -> Check:
    """A check that a number is not below a bound."""
    return bounded(f"at least {low}", lambda value: value >= low)


def between(low: float, high: float) -> Check:
    """A check that a number is not outside of two bounds."""
    return bounded(f"from {low} to {high}", lambda value: low <= value <= high)


POSITIVE = bounded("> 0", lambda value: value > 0)
AT_LEAST_0 = bounded(">= 0", lambda value: value >= 0)
AT_LEAST_1, AT_LEAST_2 = at_least(1), at_least(2)
SHARE = bounded("from 0 to 1", lambda value: 0 <= value <= 1)
BELOW_1 = bounded("from 0 to less than 1", lambda value: 0 <= value < 1)


def check_device(name: str) -> None:
    """`UsageError` for what is the name of no device; whether this machine has it, `choose_device` knows."""
    if not _DEVICE.fullmatch(name):
        raise UsageError(f"'device' must be auto, cpu, cuda, mps, xpu, or one of several as cuda:1 (got '{name}')")


def check_readout(name: str) -> None:
    """`UsageError` for what is the name of no read-out."""
    if name not in READOUT_NAMES:
        hint = did_you_mean(name, READOUT_NAMES)
        raise UsageError(f"no read-out named '{name}'; there are {', '.join(READOUT_NAMES)}.{hint}")
