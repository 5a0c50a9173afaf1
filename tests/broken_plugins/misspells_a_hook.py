"""Marks a function whose name is no hook."""

import inrkit


@inrkit.hookimpl
def register_modality(register: inrkit.Register) -> None:
    register("misspelt", "misspells_a_hook:Misspelt", "never asked for")
