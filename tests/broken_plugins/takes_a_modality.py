"""Registers a name that another plugin has."""

import inrkit


@inrkit.hookimpl
def register_modalities(register: inrkit.Register) -> None:
    register("image", "takes_a_modality:Images", "other images")
