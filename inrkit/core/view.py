"""How a page shows signals of one modality: see `Display.view`."""

from collections.abc import Mapping
from typing import Any, Literal, final

import attrs


@final
@attrs.frozen(kw_only=True)
class View:
    """What a page needs besides the function.

    Args:
        shape: "plane": coordinates are the places of a picture, from above to below, then from left to right (a third
            axis gets a slider); "line": time, drawn as a curve; "rays": density and colours of places in a box.
        glsl: Defines ``vec3 colour(vec4 y[OUTPUTS])``, in [0, 1] from the function's outputs as the read-out has them;
            for rays also ``float density(vec4 y[OUTPUTS])``. A line needs none.
        facts: What is shown, as JSON. Plane: "size", of training. Line: "size", and "rate" in Hz for a sound. Rays:
            "low", "high", "near", "far", "reach" (by which places are divided), "samples", "background" and "mip", and
            of where one looks from at first "size", "target" (around it), "radius", "focal" (in widths), "elevation"
            and "azimuth" (degrees).
    """

    shape: Literal["plane", "line", "rays"]
    glsl: str = ""
    facts: Mapping[str, Any]
