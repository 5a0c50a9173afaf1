"""Loads, but what it registers is not there: found out when somebody asks for it."""

import inrkit


@inrkit.hookimpl
def register_functions(register: inrkit.Register) -> None:
    register("nowhere", "has_no_such_target:Nowhere", "was renamed")
