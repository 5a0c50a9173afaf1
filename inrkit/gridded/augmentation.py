"""Data augmentation on a grid: changes of training signals, and the numbers that say what was changed."""

import abc
from collections.abc import Sequence
from typing import final

import attrs
import torch
from torch import Tensor

from inrkit.core.draws import Draws


class Augmentation(abc.ABC):
    """A change of training signals, drawn for each row anew: first how much, then the change itself.

    The amounts are also what a network is told with ``augment_labels`` (EDM's non-leaky augmentation). Laws: amounts of
    zero change nothing; rows do not see each other; all chance comes from the draws.
    """

    @property
    @abc.abstractmethod
    def labels(self) -> int:
        """How many numbers say what is done to a row."""

    @abc.abstractmethod
    def draw(self, values: Tensor, draws: Draws) -> Tensor:
        """What is to be done to each row of values (B, C, *size): (B, labels), of the order of 1."""

    @abc.abstractmethod
    def apply(self, values: Tensor, amounts: Tensor) -> Tensor:
        """The changed values, (B, C, *size)."""


def augment(
    values: Tensor, draws: Draws, augmentations: Sequence[Augmentation], share: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Values (B, C, *size) after all changes in turn, and their amounts, (B, labels of all).

    Args:
        share: The probability that a row is changed, by each of them on its own.
    """
    amounts = [values.new_zeros(len(values), 0)]
    for augmentation in augmentations:
        amount = augmentation.draw(values, draws)
        if share < 1:
            amount = amount * (draws.uniform(1) < share)
        values = augmentation.apply(values, amount)
        amounts.append(amount.to(values))
    return values, torch.cat(amounts, 1)


def per_row(amount: Tensor, like: Tensor) -> Tensor:
    """One number per row, (B,), shaped to go with values (B, ...)."""
    return amount.reshape(-1, *[1] * (like.ndim - 1))


@final
class Flip(Augmentation):
    """Half of the signals with their last axis reversed."""

    labels = 1

    def draw(self, values: Tensor, draws: Draws) -> Tensor:
        return (draws.uniform(1) < 0.5).float()

    def apply(self, values: Tensor, amounts: Tensor) -> Tensor:
        return torch.where(per_row(amounts[:, 0], values) > 0, values.flip(-1), values)


@final
@attrs.frozen
class Shift(Augmentation):
    """Whole cells along each axis, by up to a share of it.

    What leaves a closed axis comes back on the other side; an open one goes on as it begins or ends.
    """

    most: float
    closed: tuple[bool, ...]

    @property
    def labels(self) -> int:
        return len(self.closed)

    def draw(self, values: Tensor, draws: Draws) -> Tensor:
        return torch.stack([(2 * draws.uniform() - 1) * self.most for _ in self.closed], 1)

    def apply(self, values: Tensor, amounts: Tensor) -> Tensor:
        for axis, (closed, amount) in enumerate(zip(self.closed, amounts.unbind(1), strict=True)):
            n = values.shape[2 + axis]
            by = (amount * n).round().long()
            index = torch.arange(n, device=values.device) - by[:, None]
            index = index % n if closed else index.clamp(0, n - 1)
            shape = [len(values), *[1] * (values.ndim - 1)]
            shape[2 + axis] = n
            values = values.gather(2 + axis, index.reshape(shape).expand_as(values))
        return values


@final
@attrs.frozen
class Gain(Augmentation):
    """Louder or softer by up to so many decibels, and never so loud that a signal leaves [-1, 1] by it."""

    decibels: float

    labels = 1

    def draw(self, values: Tensor, draws: Draws) -> Tensor:
        room = -values.flatten(1).abs().amax(1).clamp(1e-6, 1).log10()
        return torch.minimum((2 * draws.uniform() - 1) * self.decibels / 20, room)[:, None]

    def apply(self, values: Tensor, amounts: Tensor) -> Tensor:
        return values * per_row(10 ** amounts[:, 0], values)
