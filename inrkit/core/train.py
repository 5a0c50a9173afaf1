"""One step of training, and the moving average of the weights. No files, no clock, no loop: see `inrkit.training`."""

import abc
import math
from collections.abc import Callable, Iterable, Mapping
from typing import final

import torch
from torch import Tensor, nn

from inrkit.core.objective.base import Loss, Objective, Step
from inrkit.core.shard import part_of
from inrkit.errors import DivergedError, PluginError, UsageError


class Average(abc.ABC):
    """A moving average of the weights of a model, which begins at its present ones."""

    def __init__(self, model: nn.Module) -> None:
        self.updates = 0
        self.tensors = {name: p.detach().clone() for name, p in model.named_parameters()}

    @abc.abstractmethod
    def beta(self) -> float:
        """How much of the average is kept in an update, of which there were ``updates``, with this one."""

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Moves towards the model's present weights."""
        self.updates += 1
        self._move(model, self.beta())

    @torch.no_grad()
    def restart(self, model: nn.Module) -> None:
        """Begins anew, at the model's present weights."""
        self.updates = 0
        self._move(model, 0.0)

    def _move(self, model: nn.Module, beta: float) -> None:
        weights = [part_of(p.detach()) for _, p in model.named_parameters()]
        torch._foreach_lerp_([part_of(average) for average in self.tensors.values()], weights, 1 - beta)

    @torch.no_grad()
    def copy_to(self, model: nn.Module) -> None:
        """Puts the average into a model, which is sharded if we are."""
        for name, p in model.named_parameters():
            part_of(p).copy_(part_of(self.tensors[name]))


@final
class PowerEMA(Average):
    """Moving average of the weights with a power-function profile (EDM2, arXiv:2312.02696).

    Its memory grows with training: β_n = (1 - 1/n)^(γ+1) after n updates, so the average always spans the same
    *share* of the run, ``width`` (the profile's relative standard deviation), whatever the run's length. The first
    update copies the model's weights.
    """

    def __init__(self, model: nn.Module, width: float = 0.05) -> None:
        super().__init__(model)
        self.gamma = gamma_of(width)

    def beta(self) -> float:
        return float((1 - 1 / self.updates) ** (self.gamma + 1))


@final
class ConstantEMA(Average):
    """The same ``decay`` in every update, from the model's first weights on, as most papers have it."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__(model)
        self.decay = decay

    def beta(self) -> float:
        return self.decay


def gamma_of(width: float) -> float:
    """The exponent γ whose profile has this relative standard deviation: (γ+1)^½ (γ+2)^-1 (γ+3)^-½ = width.

    A flat profile, γ = 0, has the greatest, .289; width 0 leaves hardly more than the newest weights.
    """
    if not 0 <= width <= 0.28:
        raise UsageError(f"the width of a moving average is from 0 to .28, a share of the run (got {width})")
    low, high = 0.0, 1e6
    for _ in range(200):
        middle = math.sqrt((low + 1) * (high + 1)) - 1
        if math.sqrt(middle + 1) / (middle + 2) / math.sqrt(middle + 3) > width:
            low = middle
        else:
            high = middle
    return middle


def backward_step(objective: Objective, step: Step, *, share: float = 1.0) -> Loss:
    """Adds the gradient of these rows to the weights; ``share`` is their part of the global batch.

    What is returned holds no graph.
    """
    loss = objective.loss(step)
    if not isinstance(loss, Loss):
        place = f"{type(objective).__module__}.{type(objective).__name__}"
        raise PluginError(f"objective '{objective.name}': `{place}.loss` must return an `inrkit.Loss` (got {loss!r})")
    (loss.total * share).backward()
    return loss.detached()


def check_finite(tensors: Mapping[str, Tensor], what: str, step: int, advice: str = "") -> None:
    """Stops when a tensor holds a number that is not finite, and says which one."""
    for name, tensor in tensors.items():
        values = part_of(tensor.detach())
        if not torch.isfinite(values).all():
            bad = int((~torch.isfinite(values)).sum())
            raise DivergedError(
                f"step {step}: {what} '{name}' has {bad} of {tensor.numel()} values that are not finite; "
                + (advice or "try a lower 'lr', a smaller 'clip', or precision = \"fp32\"")
            )


def clip_gradients(
    parameters: Iterable[nn.Parameter],
    limit: float,
    norm_of: Callable[[list[Tensor]], Tensor] = torch.nn.utils.get_total_norm,
) -> Tensor:
    """Scales gradients to at most this norm (0: no limit) and returns the norm they had."""
    grads = [p.grad for p in parameters if p.grad is not None]
    norm = norm_of(grads)
    if limit > 0 and grads:
        scale = (limit / (norm + 1e-6)).clamp(max=1.0)
        # A norm that is not finite must not spoil the gradients that are: the culprit is still to be named.
        torch._foreach_mul_([part_of(g) for g in grads], torch.where(norm.isfinite(), scale, torch.ones_like(scale)))
    return norm
