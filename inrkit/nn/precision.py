"""Parts of a network that compute in fp32 in mixed precision, too."""

import contextlib
from contextlib import AbstractContextManager

import torch


def full_precision(device: torch.device) -> AbstractContextManager[None]:
    """The context in which what tells a network the noise level, its first and last layers, and geometry run.

    Consistency training compares answers at two noise levels, in the end t and t (1 - 1/256). In bf16, of 8 bits,
    a network can be told little of that difference and can hardly answer it, while what rounding adds is weighted by
    1 / (t - r). These layers see few values or few tokens, so that full precision costs next to nothing. What goes in
    must be fp32.
    """
    kind = device.type
    if not torch.amp.is_autocast_available(kind) or not torch.is_autocast_enabled(kind):
        return contextlib.nullcontext()
    return torch.autocast(kind, enabled=False)
