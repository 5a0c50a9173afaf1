"""How the repeated blocks of a network are computed in training: compiled, or a second time to save memory."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from inrkit.core.dropout import dropped_again


def prepare_blocks(model: nn.Module, *, compiled: bool, recomputed: bool) -> None:
    """Changes how each block is called; weights keep their names."""
    for block in blocks_of(model):
        forward: Callable[..., Any] = block.forward
        if compiled:
            forward = torch.compile(forward)
        if recomputed:
            forward = functools.partial(_twice, forward)
        block.forward = forward


def blocks_of(model: nn.Module, *, listed: bool = False) -> Iterator[nn.Module]:
    """What stands in a `ModuleList`, but not within another block; ``listed``: the model is such a list."""
    for part in model.children():
        if isinstance(part, nn.ModuleList) or (listed and isinstance(part, nn.ModuleDict)):
            yield from blocks_of(part, listed=True)
        elif listed:
            yield part
        else:
            yield from blocks_of(part)


def _twice(forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Without its activations being kept, where there will be a backward pass: that computes them again."""
    if not torch.is_grad_enabled():
        return forward(*args, **kwargs)
    return checkpoint(forward, *args, use_reentrant=False, context_fn=dropped_again, **kwargs)
