"""Registers a name that is inrkit's own."""

import inrkit


@inrkit.hookimpl
def register_commands(register: inrkit.Register) -> None:
    register("train", "takes_a_command:train", "train in another way")
