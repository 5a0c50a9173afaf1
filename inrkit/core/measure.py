"""What becomes of params: bound to a function, measured by a transform, read as a signal."""

from typing import Any, final

import attrs
import torch
from torch import Tensor

from inrkit.core.inr import INRFunction, Params
from inrkit.core.noise import Preconditioning, Readout
from inrkit.core.transform import Rendered, Transform


@final
@attrs.frozen(eq=False)
class Measure:
    """The part of a pipeline that comes after its denoiser, for a denoiser that must know it.

    It is no module: the weights of the function in it belong to the pipeline alone.
    """

    function: INRFunction
    transform: Transform
    preconditioning: Preconditioning
    readout: Readout

    def __call__(self, params: Params, where: Any, t: Tensor) -> Tensor:
        """The signal of params made at noise level t (B,), measured anywhere, (B, C, ...)."""
        return self.readout.signal(self.render(params, where), t)

    def render(self, params: Params, where: Any) -> Tensor:
        """All heads of the INR, measured anywhere, (B, heads * C, ...)."""
        return self._precise(self.transform(self.function.bind(params), where))

    def with_depth(self, params: Params, where: Any, t: Tensor) -> Rendered:
        """What `__call__` gives, and how far away it is, for transforms that know."""
        found = self.transform.with_depth(self.function.bind(params), where)
        return attrs.evolve(found, colour=self.readout.signal(self._precise(found.colour), t))

    def _precise(self, measured: Tensor) -> Tensor:
        # Under autocast a function may answer in bf16; what follows, read-out and loss, takes at least fp32.
        return measured.to(torch.promote_types(measured.dtype, torch.float32))
