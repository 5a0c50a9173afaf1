"""Whether a run can fit into the memory that is free, told before anything is built: counted on torch's meta device."""

import contextlib
from typing import NamedTuple

import attrs
import torch
from torch import Tensor, nn

from inrkit.config.resolve import Resolved, imagined
from inrkit.core.pipeline import Pipeline
from inrkit.errors import ResourceError
from inrkit.machine.memory import free_memory, shown_gib
from inrkit.machine.speed import operations

_OPTIMIZER = {"muon": 1, "adamw": 2, "radam": 2}  # numbers that are kept for a weight
_ROWS = 2
_PASSES = 4
_LEAST = 0.5  # of what single precision takes: half of it in bf16


class Needs(NamedTuple):
    """Bytes at least: of weights and all that is kept for each, and of the activations of one signal."""

    weights: int
    signal: int


def needs(resolved: Resolved) -> Needs:
    """What a run needs on one device; 0 of what only numbers tell."""
    pipeline = imagined(resolved)
    if pipeline is None:
        return Needs(0, 0)
    count = sum(parameter.numel() for parameter in pipeline.parameters())
    kept = 3 + _OPTIMIZER.get(resolved.config.optimizer, 1)  # the weight, its gradient and its average
    signal = 0
    if not resolved.config.recompute:
        with contextlib.suppress(Exception):  # a network of a plugin may look at its numbers, and there are none
            signal = _kept_for_backward(resolved, pipeline)
    return Needs(4 * kept * count, int(signal * _LEAST))


def _kept_for_backward(resolved: Resolved, pipeline: nn.Module) -> int:
    """Bytes for each signal that one pass of the student keeps, in single precision."""
    found = {parameter.untyped_storage()._cdata: 0 for parameter in pipeline.parameters()}

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        found.setdefault(storage._cdata, storage.nbytes())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        _pass(resolved, pipeline)
    return sum(found.values()) // _ROWS


def _pass(resolved: Resolved, pipeline: nn.Module) -> None:
    """One pass of the student, of a few signals that are not there."""
    template = resolved.modality.template(_ROWS)
    where = template.where.to("meta") if hasattr(template.where, "to") else template.where
    observation = attrs.evolve(template, values=template.values.to("meta"), where=where)
    pipeline(observation, torch.ones(_ROWS, device="meta")).signal.sum()


def training_operations(resolved: Resolved, pipeline: Pipeline | None) -> float | None:
    """About how many operations a run takes: of each signal a pass, twice as much for its gradient, and a teacher's.

    None of an `imagined` pipeline that looks at its numbers. `inrkit.dry_run` measures instead.
    """
    if pipeline is None:
        return None
    try:
        with torch.no_grad():
            each = operations(lambda: _pass(resolved, pipeline)) / _ROWS
    except Exception:  # as above
        return None
    return _PASSES * each * resolved.config.batch_size * resolved.config.steps


def check_memory(resolved: Resolved, device: torch.device, processes: int = 1) -> None:
    """Refuses what cannot fit, with the bytes that it needs and those that are free."""
    free = free_memory(device)
    if free is None:
        return
    config, need = resolved.config, needs(resolved)
    rows = config.batch_size // config.accumulate // processes
    weights = need.weights // (processes if config.shard else 1)
    if weights + rows * need.signal <= free:
        return
    advice = "train a smaller network"
    if weights <= free:
        most = max(1, (free - weights) // max(1, need.signal))
        advice = f"at most {most:,} fit: a smaller 'batch_size', or a larger 'accumulate', computes fewer at once"
    raise ResourceError(
        f"expected a run that fits into the memory of '{device}', {shown_gib(free)} of which are free; found one that "
        f"needs {shown_gib(weights)} for weights, gradients, averages and optimizer, and "
        f"{shown_gib(rows * need.signal)} or more for {rows:,} signals at once; {advice}"
    )
