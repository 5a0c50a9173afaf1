"""What is known of a signal: y = A x for a linear operator A.

`Operator.project` puts it into any other signal with the least change: x + A⁺ (y - A x). Whatever is orthogonal to the
rows of A stays as it was, and that is what an edit is free to invent.
"""

import abc
from collections.abc import Callable
from typing import final

import torch
from torch import Tensor

from inrkit.errors import UsageError


class Operator(abc.ABC):
    """A linear operator on values (B, C, ...), each row on its own.

    Law: ``apply(pseudo_inverse(y)) = y``. So ``apply(project(x, y)) = y``, and projecting twice changes nothing.
    """

    @abc.abstractmethod
    def apply(self, values: Tensor) -> Tensor:
        """A x: what is known of values (B, C, ...), (B, ...)."""

    @abc.abstractmethod
    def pseudo_inverse(self, known: Tensor) -> Tensor:
        """A⁺ y: the smallest values (B, C, ...) whose A x is ``known``."""

    def check(self, shape: tuple[int, ...]) -> None:
        """Raises where values of a shape (C, ...) cannot be measured. Here, nothing is wrong with any."""
        return

    def project(self, values: Tensor, known: Tensor) -> Tensor:
        """The values nearest to these whose A x is ``known``."""
        with torch.autocast(values.device.type, enabled=False):
            return values + self.pseudo_inverse(known - self.apply(values))


@final
class KnownCells(Operator):
    """Some cells of the grid are known, all channels of them (inpainting).

    Args:
        mask: True where the values are known, (*size).
    """

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask.bool()

    def apply(self, values: Tensor) -> Tensor:
        return values * self.mask.to(values)

    def pseudo_inverse(self, known: Tensor) -> Tensor:
        return known * self.mask.to(known)

    def check(self, shape: tuple[int, ...]) -> None:
        if tuple(self.mask.shape) != tuple(shape[1:]):
            expected, given = (" x ".join(map(str, reversed(size))) for size in (shape[1:], self.mask.shape))
            raise UsageError(f"the mask must have the size of the signal, {expected} (got {given})")
        if self.mask.all():
            raise UsageError("the mask leaves nothing to fill in: every cell is known")


@final
class PatchMeans(Operator):
    """The mean of each patch of ``factor`` cells along every axis is known (super-resolution)."""

    def __init__(self, factor: int) -> None:
        if factor < 2:
            raise UsageError(f"'factor' must be at least 2 (got {factor})")
        self.factor = factor

    def apply(self, values: Tensor) -> Tensor:
        split = values
        for axis in range(2, values.ndim):
            split = split.unflatten(2 * axis - 2, (-1, self.factor))
        return split.mean(tuple(range(3, split.ndim, 2)))

    def pseudo_inverse(self, known: Tensor) -> Tensor:
        for axis in range(2, known.ndim):
            known = known.repeat_interleave(self.factor, axis)
        return known

    def check(self, shape: tuple[int, ...]) -> None:
        if any(n % self.factor for n in shape[1:]):
            size = " x ".join(map(str, reversed(shape[1:])))
            raise UsageError(f"'factor' must divide the size of the signal, {size} (got {self.factor})")


@final
class ChannelMean(Operator):
    """A weighted mean of the channels is known, everywhere (colorization, where it is the luma of RGB)."""

    def __init__(self, weights: tuple[float, ...] = (0.2989, 0.5870, 0.1140)) -> None:
        self.weights = tuple(w / sum(weights) for w in weights)

    def apply(self, values: Tensor) -> Tensor:
        return (values * self._column(values)).sum(1, keepdim=True)

    def pseudo_inverse(self, known: Tensor) -> Tensor:
        return known * self._column(known) / sum(w * w for w in self.weights)

    def check(self, shape: tuple[int, ...]) -> None:
        if shape[0] != len(self.weights):
            raise UsageError(f"the weights must be one for each of {shape[0]} channels (got {len(self.weights)})")

    def _column(self, like: Tensor) -> Tensor:
        return torch.tensor(self.weights, dtype=like.dtype, device=like.device).reshape(-1, *[1] * (like.ndim - 2))


@final
class Measured(Operator):
    """Any linear function of the values is known: blurred, projected, masked along a curve, or all of them at once.

    Its adjoint comes from autograd, and A⁺ = Aᵀ (A Aᵀ)⁻¹ from conjugate gradients.

    Args:
        function: Values (B, C, ...) to what is known (B, ...); linear, differentiable, each row on its own.
        rounds: Of conjugate gradients, at most.
        damping: λ, where what is known has errors that A⁺ would blow up: Aᵀ (A Aᵀ + λ)⁻¹ leaves out what A hardly
            measures (Tikhonov), and what is known is kept up to that.
    """

    def __init__(
        self, function: Callable[[Tensor], Tensor], shape: tuple[int, ...], *, rounds: int = 200, damping: float = 0.0
    ) -> None:
        self.function, self.shape, self.rounds, self.damping = function, tuple(shape), rounds, damping
        if function(torch.zeros(1, *shape)).abs().max() > 0:
            raise UsageError("'function' must be linear, but what it makes of zeros is not zero")

    def apply(self, values: Tensor) -> Tensor:
        return self.function(values)

    def check(self, shape: tuple[int, ...]) -> None:
        if tuple(shape) != self.shape:
            raise UsageError(f"the operator is for values of shape {self.shape} (got {tuple(shape)})")

    @torch.no_grad()
    def pseudo_inverse(self, known: Tensor) -> Tensor:
        solution, residual = torch.zeros_like(known), known
        direction, size = residual, _dot(residual, residual)
        enough = 1e-12 * size
        for _ in range(self.rounds):
            if (size <= enough).all():
                break
            curved = self.function(self._adjoint(direction)) + self.damping * direction
            curvature = _dot(direction, curved)
            # Rows that are done, or lie outside of what can be measured, stand still.
            step = torch.where((size > enough) & (curvature > 0), size / curvature, torch.zeros_like(size))
            solution, residual = solution + step * direction, residual - step * curved
            before, size = size, _dot(residual, residual)
            direction = residual + size / before.clamp_min(torch.finfo(size.dtype).tiny) * direction
        return self._adjoint(solution)

    def _adjoint(self, known: Tensor) -> Tensor:
        """Aᵀ y, the gradient of <A x, y>."""
        with torch.enable_grad():
            x = torch.zeros(len(known), *self.shape, dtype=known.dtype, device=known.device, requires_grad=True)
            (gradient,) = torch.autograd.grad(self.function(x), x, known)
        return gradient


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """The product of each row, shaped to multiply it, (B, 1, ...)."""
    return (a * b).flatten(1).sum(1).reshape(-1, *[1] * (a.ndim - 1))
