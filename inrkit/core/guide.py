"""Classifier-free guidance (arXiv:2207.12598): dropping class labels in training, and leaning towards one in sampling.

A network from which some labels were withheld also knows f(x_t, t) without a class, and can be guided:

    f_w(x_t, t, c) = f(x_t, t, none) + w (f(x_t, t, c) - f(x_t, t, none))

w = 1 is the network itself, w = 0 forgets the class, w > 1 leans away from what the class does not explain. Latent
consistency models count from the network itself: their w is ours less one.
"""

import math
from typing import Protocol, final

import attrs
import torch
from torch import Tensor

from inrkit.core.draws import Draws
from inrkit.core.noise import T_MIN
from inrkit.core.observation import Batch, Views, expand
from inrkit.core.ode import Time
from inrkit.errors import UsageError

NO_CLASS = -1
"""The label of a signal whose class is not known, or is not to be told."""


def drop_labels(batch: Batch, draws: Draws, share: float) -> Batch:
    """The batch with a ``share`` of its labels replaced by "no class". Law: depends on the global row alone."""
    if share == 0:
        return batch
    if batch.label is None:
        raise UsageError(
            "'label_dropout' needs labels, and the signals of this run have none; set it to 0, or give the modality "
            "classes and data with labels"
        )
    dropped = draws.uniform().to(batch.label.device) < share
    return attrs.evolve(batch, label=batch.label.masked_fill(dropped, NO_CLASS))


class Estimate(Protocol):
    """f(x_t, t) in all views of some signals, such as `inrkit.Pipeline.estimate`."""

    def __call__(self, views: Views, t: Tensor, label: Tensor | None = None, until: Tensor | None = None) -> Views: ...


@final
@attrs.frozen(eq=False)
class Guided:
    """f for one label of each row, led by ``weight`` away from f without a class.

    Args:
        model: Whose f.
        label: The class of each row, (B,).
        weight: 1 for the model itself; or one for each row, (B,).
        clamp: Keep f within [-1, 1].
        t_min: The level at which a signal counts as clean.
    """

    model: Estimate
    label: Tensor | None = None
    weight: float | Tensor = 1.0
    clamp: bool = False
    t_min: float = T_MIN

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.weight, Tensor) and not (math.isfinite(self.weight) and self.weight >= 0):
            raise UsageError(f"'guidance' must be a number from 0, 1 for none (got {self.weight})")
        if self.leads and self.label is None:
            raise UsageError(
                "'guidance' (classifier-free) needs a class, and there is no label; give one, or leave it at 1"
            )

    @property
    def leads(self) -> bool:
        """Whether it is more than the model itself."""
        return isinstance(self.weight, Tensor) or self.weight != 1

    def __call__(self, views: Views, t: Time, until: Time | None = None) -> Views:
        """f_w of each view; ``until`` is for models of two times."""
        t, until = _per_row(t, views), None if until is None else _per_row(until, views)
        f = self.model(views, t, self.label, until)
        if self.leads and self.label is not None:
            free = self.model(views, t, torch.full_like(self.label, NO_CLASS), until)
            pairs = zip(free, f, strict=True)
            f = tuple(b.with_values(_lerp(a.values, b.values, self.weight)) for a, b in pairs)
        return tuple(x.with_values(x.values.clamp(-1, 1)) for x in f) if self.clamp else f


def _lerp(a: Tensor, b: Tensor, weight: float | Tensor) -> Tensor:
    return torch.lerp(a, b, expand(weight, a).to(a.dtype) if isinstance(weight, Tensor) else weight)


def _per_row(t: Time, views: Views) -> Tensor:
    if isinstance(t, Tensor):
        return t
    return torch.full((len(views[0]),), float(t), device=views[0].values.device)
