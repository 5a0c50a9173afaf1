"""What was measured of a signal, and how: O = {T_i(I)}.

``values`` are what was measured, and the only part that noise touches: O_t = O + t z. ``where`` says how it was
measured (a grid, rays, times); the core carries it along and never looks inside.
"""

import abc
from typing import Any, Self

import attrs
import torch
from torch import Tensor

from inrkit.core.draws import Draws


@attrs.frozen(eq=False)
class Observation(abc.ABC):
    """Measured values and how they were measured, for a batch of signals.

    Args:
        values: (B, C, ...): rows first, channels second, scaled to about [-1, 1].
        where: How the values were measured: an object with the methods ``rows`` and ``to``, else opaque to the core;
            ``count``, if it has that, is its number of places, by which too large a render is refused.
        augmentation: What training did to the signals, in numbers for a denoiser that is told it, (B, labels); None for
            nothing, or for nothing that is told.
    """

    values: Tensor
    where: Any
    augmentation: Tensor | None = attrs.field(default=None, kw_only=True)

    def __len__(self) -> int:
        return len(self.values)

    def with_values(self, values: Tensor) -> Self:
        """The same measurement with other values."""
        return attrs.evolve(self, values=values)

    def perturb(self, noise: Tensor, t: Tensor) -> Self:
        """O_t = O + t z, with one noise level t (B,) per row."""
        return self.with_values(self.values + expand(t, self.values) * noise)

    def rows(self, index: Tensor | slice) -> Self:
        """The observations of these rows only."""
        said = None if self.augmentation is None else self.augmentation[index]
        return attrs.evolve(self, values=self.values[index], where=self.where.rows(index), augmentation=said)

    def to(self, device: torch.device | str) -> Self:
        """The same observation on another device."""
        said = None if self.augmentation is None else self.augmentation.to(device)
        return attrs.evolve(self, values=self.values.to(device), where=self.where.to(device), augmentation=said)

    @abc.abstractmethod
    def share_noise(self, noise: Tensor, query: "Observation", draws: Draws) -> Tensor:
        """The noise that ``query``, another observation of the same signals, sees when ``noise`` perturbs this one.

        Law: where both measure the same thing in the same place, the noise is the same.
        """


Views = tuple[Observation, ...]
"""Observations of the same signals, equally noisy; the denoiser looks at the first."""


@attrs.frozen(eq=False)
class Batch:
    """Some signals as training sees them: what goes in, what is asked for, and their class labels if any."""

    support: Observation
    query: Observation
    label: Tensor | None = None

    def __len__(self) -> int:
        return len(self.support)

    def to(self, device: torch.device | str) -> "Batch":
        label = None if self.label is None else self.label.to(device)
        return Batch(self.support.to(device), self.query.to(device), label)

    def rows(self, index: Tensor | slice) -> "Batch":
        label = None if self.label is None else self.label[index]
        return Batch(self.support.rows(index), self.query.rows(index), label)

    def noise(self, draws: Draws) -> tuple[Tensor, Tensor]:
        """Noise z for support and query; student and teacher use this same pair."""
        support = draws.normal(*self.support.values.shape[1:]).to(self.support.values)
        return support, self.support.share_noise(support, self.query, draws)


def expand(t: Tensor, like: Tensor) -> Tensor:
    """One number per row, shaped to multiply ``like``: (B,) to (B, 1, ...)."""
    return t.reshape(-1, *[1] * (like.ndim - 1))
