"""The weights of a function by the name of an installed model that has them, for an .inr file that leaves them out."""

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from inrkit.errors import DataError, UsageError
from inrkit.plugins import load_plugins
from inrkit.storage.modelfolder import load_model

_PREFIX = "function."


def check_installed(model: str) -> str:
    """The name of an installed model; `UsageError` for any other."""
    if model not in load_plugins().models:
        known = ", ".join(load_plugins().models) or "none is installed"
        raise UsageError(f"only the function of an installed model can be left out ({known}), not that of '{model}'")
    return model


def refer(model: str, state: Mapping[str, Tensor], what: str) -> dict[str, str]:
    """What a file holds in place of a function's weights; `UsageError` unless the installed model has just these."""
    found = _digest(state)
    if found != _digest(_weights(check_installed(model))):
        raise UsageError(f"{what}: the installed model '{model}' has a function of other weights, so keep them")
    return {"model": model, "sha256": found}


def resolve(reference: Any, origin: str) -> dict[str, Tensor]:
    """The weights that `refer` left out; `DataError` where they are not at hand."""
    texts = reference.values() if isinstance(reference, Mapping) else ()
    if not isinstance(reference, Mapping) or {*reference} != {"model", "sha256"} or {*map(type, texts)} != {str}:
        raise DataError(f"{origin}: expected the name and the sha256 of a model's function, found {reference!r:.80}")
    model = reference["model"]
    if model not in load_plugins().models:
        raise DataError(
            f"{origin}: it leaves out its function, which the model '{model}' has; that is not installed, so install "
            "the package that has it"
        )
    weights = _weights(model)
    if _digest(weights) != reference["sha256"]:
        raise DataError(
            f"{origin}: it leaves out its function, which the model '{model}' had; the one that is installed has other "
            "weights, so install the version that the file was made with"
        )
    return weights


def _weights(model: str) -> dict[str, Tensor]:
    state: Mapping[str, Tensor] = load_model(load_plugins().model(model)).tensors["model"]
    return {
        name.removeprefix(_PREFIX): value.float() if value.is_floating_point() else value
        for name, value in state.items()
        if name.startswith(_PREFIX)
    }


def _digest(state: Mapping[str, Tensor]) -> str:
    """Of the names in order, each followed by its numbers."""
    found = hashlib.sha256()
    for name in sorted(state):
        found.update(name.encode() + state[name].contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()
