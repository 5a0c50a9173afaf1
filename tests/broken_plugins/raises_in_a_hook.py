"""Has a mistake in a hook, after it has registered something."""

import inrkit


@inrkit.hookimpl
def register_importers(register: inrkit.Register) -> None:
    register("half", "raises_in_a_hook:Half", "never to be used")
    raise KeyError("gone")
