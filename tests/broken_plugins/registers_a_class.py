"""Hands over a class, which would have to be imported by everybody, instead of saying where it is."""

import inrkit


class Direct:
    """Not a string."""


@inrkit.hookimpl
def register_functions(register: inrkit.Register) -> None:
    register("direct", Direct, "a class")  # type: ignore[arg-type]
