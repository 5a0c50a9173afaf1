"""All that a run needs to go on exactly as if it had never stopped, as tensors and JSON."""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from inrkit.errors import DataError, DivergedError
from inrkit.machine import randomness
from inrkit.storage import atomic
from inrkit.storage.checkpoint import Checkpoint
from inrkit.storage.weights import put_weights

if TYPE_CHECKING:
    from inrkit.training.learner import Learner


def pack(learner: "Learner") -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
    """Weights, averages, optimizer, counters and every process's random states. All processes call this together."""
    tensors = {
        "model": dict(learner.pipeline.state_dict()),
        "ema": dict(learner.ema.tensors),
        "optimizer": learner.optimizer.tensors(),
        "random": {},
    }
    tensors |= {name: dict(module.state_dict()) for name, module in learner.teachers.modules.items()}
    captured = learner.ranks.gather(randomness.capture(learner.device))
    for rank, (states, _) in enumerate(captured):
        tensors["random"].update({f"{rank}.{name}": value for name, value in states.items()})
    state = {
        "step": learner.step,
        "skipped": learner.skipped,
        "ema_updates": learner.ema.updates,
        "precision": learner.precision,
        "random": [plain for _, plain in captured],
    }
    return tensors, state


def unpack(learner: "Learner", checkpoint: Checkpoint) -> None:
    """Puts everything back. With another number of processes, only the global random states start anew."""
    tensors, state = checkpoint.tensors, checkpoint.state
    try:
        put_weights(learner.pipeline, tensors["model"], checkpoint.path)
        for name, module in learner.teachers.modules.items():
            put_weights(module, tensors[name], checkpoint.path)
        for name, average in learner.ema.tensors.items():
            average.copy_(tensors["ema"][name])
        learner.optimizer.load(tensors["optimizer"])
        learner.step, learner.skipped = int(state["step"]), int(state["skipped"])
        learner.ema.updates = int(state["ema_updates"])
        if len(state["random"]) == learner.ranks.world:
            rank = learner.ranks.rank
            ours = {n.partition(".")[2]: t for n, t in tensors["random"].items() if n.startswith(f"{rank}.")}
            randomness.restore(ours, state["random"][rank], learner.device)
    except KeyError as error:
        raise DataError(
            f"{checkpoint.path}: expected {error}, found none; the checkpoint is of another kind"
        ) from error


def check_agreement(learner: "Learner") -> None:
    """Every process holds the same weights, or saving those of the first would hide a fault."""
    if learner.ranks.world == 1:
        return
    weights = [
        p.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data for p in learner.ema.tensors.values()
    ]
    digests = learner.ranks.gather(atomic.sha256(*weights))
    if len(set(digests)) > 1:
        raise DivergedError(
            f"step {learner.step}: the processes no longer hold the same weights; go on from the last checkpoint"
        )
