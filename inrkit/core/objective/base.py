"""What every objective is: a batch in, a loss out; and who may be its teacher.

Everything is a mean over the rows of a batch, and every row is weighed on its own, so that a batch may be split over
processes or micro-batches without changing the loss.
"""

import abc
from collections.abc import Callable, Mapping
from typing import ClassVar, Literal

import attrs
from torch import Tensor

from inrkit.core.draws import Draws
from inrkit.core.objective.ode import Denoise
from inrkit.core.observation import Batch
from inrkit.core.pipeline import Pipeline, Prediction


@attrs.frozen(eq=False)
class Loss:
    """The mean over our rows, to be differentiated, and the named parts it is made of, to be logged."""

    total: Tensor
    terms: Mapping[str, Tensor]


@attrs.frozen
class Objective(abc.ABC):
    """Turns a batch into a loss. Its fields are its options."""

    name: ClassVar[str]
    begins_with: ClassVar[Literal["all", "decoder"] | None] = None
    """What trains in a first phase of reconstruction alone; None: there is no such phase unless a run lists it."""

    def stage(self, progress: float) -> int:
        """The number of its curriculum's stage, which grows as the task becomes harder; constant without one."""
        return 0

    def teacher_decay(self, progress: float) -> float:
        """How much of the teacher's weights is kept in a step; 0: the teacher has the student's own weights."""
        return 0.0

    @abc.abstractmethod
    def loss(
        self,
        student: Callable[..., Prediction],
        teacher: Pipeline,
        batch: Batch,
        draws: Draws,
        progress: float,
        diffusion: Denoise | None = None,
    ) -> Loss:
        """The loss of these rows.

        Args:
            student: The pipeline that learns, possibly wrapped for several processes. Called exactly once.
            teacher: The pipeline that sets the target; its own weights or a moving average of them.
            batch: Clean observations.
            draws: Chance for these rows.
            progress: From 0 to 1 through the phase.
            diffusion: The trained model that `Cd` distils.
        """


def mean(per_row: Tensor, weight: Tensor) -> Tensor:
    """Mean over all rows; rows of weight 0 count as rows, so that terms do not jump with their number."""
    return (per_row * weight).mean()
