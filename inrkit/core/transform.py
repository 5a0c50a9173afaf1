"""The measurement T_q: a field and a place in, the values that would be measured there out."""

import abc
from typing import Any

from torch import Tensor

from inrkit.core.inr import Field


class Transform(abc.ABC):
    """Measures fields. It sees a plain function of coordinates and never meets a network.

    Laws: pure (whatever chance it needs lies in ``where``); differentiable; with gradients off, its memory is bounded
    whatever the size of ``where``.
    """

    @abc.abstractmethod
    def __call__(self, field: Field, where: Any) -> Tensor:
        """Values (B, C, ...) as an observation at ``where`` would have them."""
