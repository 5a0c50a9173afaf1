"""How the weights follow the gradient: optimizers with one state, and the learning rate as a function of the step."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, final

import torch
from torch import Tensor, nn

from inrkit.config.run import RunConfig
from inrkit.core.shard import is_sharded, like, part_of, rows_of
from inrkit.errors import DataError, UsageError
from inrkit.machine.processes import Ranks
from inrkit.training.muon import Muon


def learning_rate(config: RunConfig, step: int, peak: float | None = None) -> float:
    """The rate of a step: a linear rise over ``warmup`` steps, then the schedule over the rest of the run.

    ``peak`` is that of the step's phase, if it is not the run's.
    """
    peak = config.lr if peak is None else peak
    if step < config.warmup:
        return peak * (step + 1) / config.warmup
    progress = (step - config.warmup) / max(1, config.steps - config.warmup)
    factors = {"constant": 1.0, "linear": 1 - progress, "cosine": 0.5 * (1 + math.cos(math.pi * progress))}
    return peak * factors[config.schedule]


@final
class Optimizer:
    """One or two of torch's optimizers behind one step and one state, whose tensors are known by name.

    "muon" orthogonalises the updates of hidden matrices (the 2-D weights of linear layers in repeated blocks) and
    leaves all other weights to AdamW, whose rate both share.
    """

    def __init__(
        self, config: RunConfig, model: nn.Module, precision: str = "fp32", ranks: Ranks | None = None
    ) -> None:
        self.kind = config.optimizer
        self.weights = dict(model.named_parameters())
        # What is done element by element is done to the rows of a sharded weight that are here.
        self._rows = {p: nn.Parameter(part_of(p.detach())) for p in self.weights.values() if is_sharded(p)}
        self.names: dict[Tensor, str] = {}
        for name, weight in self.weights.items():
            self.names |= {weight: name, self._rows.get(weight, weight): name}
        self.parts = list(_parts(config, model, self._rows, precision, ranks))

    def step(self, lr: float) -> None:
        """Moves the weights; those without a gradient stay."""
        for weight, rows in self._rows.items():
            rows.grad = None if weight.grad is None else part_of(weight.grad)
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = lr
            part.step()

    def zero(self) -> None:
        for weight in (*self.weights.values(), *self._rows.values()):
            weight.grad = None

    def tensors(self) -> dict[str, Tensor]:
        """The whole state, as "exp_avg:name of the weight"; of sharded weights, sharded as they are."""
        return {
            f"{key}:{name}": like(self.weights[name], value) if value.ndim else value
            for part in self.parts
            for name, state in ((self.names[parameter], state) for parameter, state in part.state.items())
            for key, value in state.items()
        }

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Puts a state back."""
        states: dict[str, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            key, _, weight = name.partition(":")
            if weight not in self.weights:
                raise DataError(f"the optimizer's state has '{weight}', which the model lacks; the run is another's")
            here = rows_of(value, self.weights[weight]) if value.ndim else value
            states.setdefault(weight, {})[key] = here.clone()  # the whole lies on the disk
        for part in self.parts:
            parameters = [p for group in part.param_groups for p in group["params"]]
            known = {i: states[self.names[p]] for i, p in enumerate(parameters) if self.names[p] in states}
            if len({frozenset(state) for state in known.values()}) > 1:
                raise DataError(
                    "the optimizer's state is that of another division of the weights among optimizers; "
                    "begin a new run with these weights (--init RUN)"
                )
            part.load_state_dict({"state": known, "param_groups": part.state_dict()["param_groups"]})


def _parts(
    config: RunConfig,
    model: nn.Module,
    rows: Mapping[nn.Parameter, nn.Parameter],
    precision: str,
    ranks: Ranks | None,
) -> Iterator[torch.optim.Optimizer]:
    """
    Args:
        rows: For a sharded weight, what stands for it.
    """
    parameters = list(model.parameters())
    common: dict[str, Any] = {"lr": config.lr, "weight_decay": config.weight_decay}
    if config.optimizer == "radam":
        yield torch.optim.RAdam(
            [rows.get(p, p) for p in parameters], decoupled_weight_decay=True, foreach=True, **common
        )
        return
    if config.optimizer == "muon":
        hidden = hidden_matrices(model)
        if not hidden:
            raise UsageError('optimizer = "muon" found no repeated blocks with matrices; choose adamw')
        yield Muon(hidden, dtype=torch.bfloat16 if precision == "bf16" else torch.float32, ranks=ranks, **common)
        taken = set(hidden)
        parameters = [p for p in parameters if p not in taken]
    yield torch.optim.AdamW([rows.get(p, p) for p in parameters], fused=True, **common)


def hidden_matrices(model: nn.Module) -> list[nn.Parameter]:
    """The 2-D weights of linear layers inside repeated blocks, that is, inside a `ModuleList`.

    Layers of modulation are none of them: they read the condition, which is one short curve of noise levels, so that
    most directions of their gradients are chance. Orthogonalised they learn no better, and are the widest of all.
    """
    lists = (blocks for blocks in model.modules() if isinstance(blocks, nn.ModuleList))
    layers = (layer for blocks in lists for name, layer in blocks.named_modules() if "modulation" not in name)
    weights = (layer.weight for layer in layers if isinstance(layer, nn.Linear))
    return list(dict.fromkeys(weight for weight in weights if isinstance(weight, nn.Parameter)))
