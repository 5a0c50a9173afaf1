"""How the weights follow the gradient: optimizers with one state, and the learning rate as a function of the step."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, final

import torch
from torch import Tensor, nn

from inrkit.config.run import RunConfig
from inrkit.errors import DataError, UsageError
from inrkit.training.muon import Muon


def learning_rate(config: RunConfig, step: int) -> float:
    """The rate of a step: a linear rise over ``warmup`` steps, then the schedule over the rest of the run."""
    if step < config.warmup:
        return config.lr * (step + 1) / config.warmup
    progress = (step - config.warmup) / max(1, config.steps - config.warmup)
    factors = {"constant": 1.0, "linear": 1 - progress, "cosine": 0.5 * (1 + math.cos(math.pi * progress))}
    return config.lr * factors[config.schedule]


@final
class Optimizer:
    """One or two of torch's optimizers behind one step and one state, whose tensors are known by name.

    "muon" orthogonalises the updates of hidden matrices (the 2-D weights of linear layers in repeated blocks) and
    leaves all other weights to AdamW, whose rate both share.
    """

    def __init__(self, config: RunConfig, model: nn.Module, precision: str = "fp32") -> None:
        self.names: dict[Tensor, str] = {parameter: name for name, parameter in model.named_parameters()}
        self.parts = list(_parts(config, model, precision))

    def step(self, lr: float) -> None:
        """Moves the weights; those without a gradient stay."""
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = lr
            part.step()

    def zero(self) -> None:
        for part in self.parts:
            part.zero_grad(set_to_none=True)

    def tensors(self) -> dict[str, Tensor]:
        """The whole state, as "exp_avg:name of the weight"."""
        return {
            f"{key}:{self.names[parameter]}": value
            for part in self.parts
            for parameter, state in part.state.items()
            for key, value in state.items()
        }

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Puts a state back."""
        states: dict[str, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            key, _, weight = name.partition(":")
            states.setdefault(weight, {})[key] = value.clone()  # it lies on the disk
        if unknown := states.keys() - set(self.names.values()):
            raise DataError(f"the optimizer's state has '{min(unknown)}', which the model lacks; the run is another's")
        for part in self.parts:
            parameters = [p for group in part.param_groups for p in group["params"]]
            known = {i: states[self.names[p]] for i, p in enumerate(parameters) if self.names[p] in states}
            part.load_state_dict({"state": known, "param_groups": part.state_dict()["param_groups"]})


def _parts(config: RunConfig, model: nn.Module, precision: str) -> Iterator[torch.optim.Optimizer]:
    parameters = list(model.parameters())
    common: dict[str, Any] = {"lr": config.lr, "weight_decay": config.weight_decay}
    if config.optimizer == "radam":
        yield torch.optim.RAdam(parameters, decoupled_weight_decay=True, foreach=True, **common)
        return
    if config.optimizer == "muon":
        hidden = hidden_matrices(model)
        if not hidden:
            raise UsageError('optimizer = "muon" found no repeated blocks with matrices; choose adamw')
        yield Muon(hidden, dtype=torch.bfloat16 if precision == "bf16" else torch.float32, **common)
        taken = set(hidden)
        parameters = [p for p in parameters if p not in taken]
    yield torch.optim.AdamW(parameters, fused=True, **common)


def hidden_matrices(model: nn.Module) -> list[nn.Parameter]:
    """The 2-D weights of linear layers inside repeated blocks, that is, inside a `ModuleList`."""
    layers = (layer for blocks in model.modules() if isinstance(blocks, nn.ModuleList) for layer in blocks.modules())
    weights = (layer.weight for layer in layers if isinstance(layer, nn.Linear))
    return list(dict.fromkeys(weight for weight in weights if isinstance(weight, nn.Parameter)))
