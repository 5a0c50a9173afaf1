"""What every objective is: a step of training in, a loss out; and who may be its teacher.

Everything is a mean over the rows of a batch, and every row is weighed on its own, so that a batch may be split over
processes or micro-batches without changing the loss.
"""

import abc
import contextlib
from collections.abc import Callable, Mapping
from typing import ClassVar, Literal, final

import attrs
import torch
from torch import Tensor

from inrkit.core.draws import Draws
from inrkit.core.dropout import shared_dropout
from inrkit.core.guide import Estimate
from inrkit.core.objective.distance import Compare
from inrkit.core.observation import Batch
from inrkit.core.pipeline import Prediction
from inrkit.core.send import send


@final
@attrs.frozen(eq=False)
class Step:
    """What an objective makes a loss of: some rows of a global batch, and who is asked about them.

    Args:
        student: The pipeline that learns, wrapped where there are several processes. It may be called more than once:
            the gradients of all passes add up, and are exchanged once. Forward-mode derivatives (`torch.func.jvp`) are
            taken through ``teacher``, which is never wrapped: in several processes the wrapper of the student does not
            exchange the gradients of such a pass.
        teacher: The pipeline that sets the target: the student's own weights, or a moving average of them.
        batch: Clean observations.
        draws: Chance for these rows.
        progress: From 0 to 1 through the phase.
        diffusion: The trained diffusion model, where the objective ``distils`` one.
        together: Whether several processes share the weights, so that every pass is one of all processes.
        features: The distance of pictures by a feature network, where the run has one.
    """

    student: Callable[..., Prediction]
    teacher: Callable[..., Prediction]
    batch: Batch
    draws: Draws
    progress: float = 0.0
    diffusion: Estimate | None = None
    together: bool = False
    features: Compare | None = None

    def asked(self, wanted: Tensor) -> Tensor:
        """The numbers of our rows that a teacher is asked about: those ``wanted``, (B,), best known on the host.

        With ``together`` there is at least one, wanted or not, so that each process makes the same passes.
        """
        index = torch.nonzero(wanted).squeeze(1)
        return index if len(index) or not self.together else index.new_zeros(1)

    def part(self, index: Tensor) -> "Step":
        """The same step on these of our rows, by their numbers among ours; its chance begins anew."""
        return attrs.evolve(self, batch=self.batch.rows(index), draws=self.draws.part(index))

    def sent(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Tensors of the host, such as noise levels drawn from ``draws.on_host``, where the batch is."""
        return tuple(send(tensor, self.draws.device) for tensor in tensors)

    def dropout(self, index: Tensor | slice = slice(None)) -> contextlib.AbstractContextManager[None]:
        """Inside, all passes over these rows drop the same elements, the student's and the teacher's alike."""
        return shared_dropout(self.draws.seed, self.draws.total, self.draws.rows[index])


@final
@attrs.frozen(eq=False)
class Loss:
    """What a step gave.

    Args:
        total: The mean over our rows, to be differentiated.
        terms: The named parts it is made of, to be logged, and differentiated where the gradient is measured in parts.
        target: What the student was compared with, so that a teacher which is not finite can be named.
        t: The noise level of each row's input, (B,); without it, gradients are not measured by noise level.
    """

    total: Tensor
    terms: Mapping[str, Tensor]
    target: Tensor | None = None
    t: Tensor | None = None

    def detached(self) -> "Loss":
        """The same numbers, holding no graph."""
        return Loss(self.total.detach(), {n: term.detach() for n, term in self.terms.items()}, self.target, self.t)


@final
@attrs.frozen
class Distilled:
    """A diffusion model that was trained before.

    Args:
        run: Its run directory; None for the phase before this one.
        guidance: How far it is led towards the labels; other than 1, it must have been trained without labels too.
    """

    run: str | None = None
    guidance: float = 1.0


@attrs.frozen
class Objective(abc.ABC):
    """Turns a step of training into a loss. Its fields are its options."""

    name: ClassVar[str]
    sampler: ClassVar[str] = "consistency"
    """The name of the sampler of what it trains."""
    needs_until: ClassVar[bool] = False
    """Whether it trains denoisers of two times; see `inrkit.Level`."""
    begins_with: ClassVar[Literal["all", "decoder"] | None] = None
    """What trains in a first phase of reconstruction alone; with None there is no such phase unless a run lists it."""

    @property
    def distils(self) -> "Distilled | None":
        """The trained diffusion model that it learns from; None for an objective that needs none."""
        return None

    @property
    def tells_guidance(self) -> tuple[float, float] | None:
        """The lowest and highest guidance scale that its student is told; None for a student that is told none."""
        return None

    def stage(self, progress: float) -> int:
        """The number of its curriculum's stage, which grows as the task becomes harder; constant without one."""
        return 0

    def teacher_decay(self, progress: float) -> float:
        """How much of the teacher's weights is kept in a step; 0: the teacher has the student's own weights."""
        return 0.0

    @abc.abstractmethod
    def loss(self, step: Step) -> Loss:
        """The loss of these rows."""


def mean(per_row: Tensor, weight: Tensor) -> Tensor:
    """Mean over all rows; rows of weight 0 count as rows, so that terms do not jump with their number."""
    return (per_row * weight).mean()


def clean_rows(rows: Tensor, share: float) -> Tensor:
    """Which rows (numbers in the global batch) are given to reconstruction, spread evenly; at least the first."""
    return ((rows + 1) * share).ceil() > (rows * share).ceil()
