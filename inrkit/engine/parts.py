"""Functions by name: what a modality's options say, built by whichever plugin offers it."""

from collections.abc import Mapping
from typing import Any

from inrkit.core.inr import INRFunction
from inrkit.io.config import structure
from inrkit.plugins import load_plugins


def make_function(
    name: str, options: Mapping[str, Any], *, axes: int, channels: int, size: tuple[int, ...] = ()
) -> INRFunction:
    """The implicit function of this name, with these options.

    Args:
        axes, channels: Of its coordinates and outputs.
        size: Of the grid that it is held to in training, where there is one.
    """
    cls = load_plugins().function(name)
    settings: Any = structure(cls.Options, options, origin="options.function_options")
    return cls.build(settings, axes=axes, channels=channels, size=size)
