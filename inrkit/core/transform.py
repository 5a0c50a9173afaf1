"""The measurement T_q: a field and a place in, the values that would be measured there out."""

import abc
from typing import Any, final

import attrs
from torch import Tensor

from inrkit.core.inr import Field
from inrkit.errors import UsageError


@final
@attrs.frozen(eq=False)
class Rendered:
    """What is seen of a solid from outside; `render_with_depth` gives one without the batch axis for each place.

    Args:
        colour: (B, C, ...), as the transform itself gives it.
        opacity: The share of a ray's light that comes from the solid, (B, 1, ...) in [0, 1].
        depth: The mean distance along the ray at which that light begins, in the world's units, (B, 1, ...); infinite
            where most of the light comes from behind the solid.
        normal: The direction of length 1, in the world, that its surface faces there, (B, 3, ...); else 0.
    """

    colour: Tensor
    opacity: Tensor
    depth: Tensor
    normal: Tensor


class Transform(abc.ABC):
    """Measures fields. It sees a plain function of coordinates and never meets a network.

    Laws: pure (whatever chance it needs lies in ``where``); differentiable; with gradients off, its memory is bounded
    whatever the size of ``where``.
    """

    @abc.abstractmethod
    def __call__(self, field: Field, where: Any) -> Tensor:
        """Values (B, C, ...) as an observation at ``where`` would have them."""

    def with_depth(self, field: Field, where: Any) -> Rendered:
        """The same values, and how far away they are; for solids that are seen from outside."""
        raise UsageError("these signals have no depth; render them without it")
