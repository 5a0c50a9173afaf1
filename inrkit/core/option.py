"""Options of the core's own choices: what an option means stands beside it, and a wrong value is refused by name."""

import math
from collections.abc import Callable
from typing import Any

import attrs


def option(help: str, default: Any, check: Any = None) -> Any:
    """A field of an attrs class whose help text the documentation shows."""
    return attrs.field(default=default, metadata={"help": help}, validator=[] if check is None else check)


def _bounded(what: str, holds: Callable[[float], bool]) -> Any:
    def check(instance: Any, attribute: Any, value: float) -> None:
        if not math.isfinite(value) or not holds(value):
            raise ValueError(f"'{attribute.name}' must be {what} (got {value})")

    return check


POSITIVE = _bounded("> 0", lambda value: value > 0)
AT_LEAST_0 = _bounded(">= 0", lambda value: value >= 0)
AT_LEAST_1 = _bounded("at least 1", lambda value: value >= 1)
AT_LEAST_2 = _bounded("at least 2", lambda value: value >= 2)
SHARE = _bounded("from 0 to 1", lambda value: 0 <= value <= 1)
BELOW_1 = _bounded("from 0 to less than 1", lambda value: 0 <= value < 1)
