"""How much each row counts, by its noisier time t, its cleaner time r, and the standard deviation of clean values."""

from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor

Weighting = Literal["uniform", "1/t", "1/(t-r)", "t/(t-r)", "1/(t(t-r))", "edm", "snr", "snr+1", "truncated-snr"]
Weigh = Callable[[Tensor, Tensor, float], Tensor]
"""(t, r, σ_data) to the weight of each row, (B,)."""

WEIGHTINGS: Mapping[str, Weigh] = {
    "uniform": lambda t, r, sigma: torch.ones_like(t),
    "1/t": lambda t, r, sigma: 1 / t,
    "1/(t-r)": lambda t, r, sigma: 1 / (t - r),
    "t/(t-r)": lambda t, r, sigma: t / (t - r),
    # With the squared distance the gradient is |df/d ln t| / t², whatever r is: no stage of a curriculum changes it.
    "1/(t(t-r))": lambda t, r, sigma: 1 / (t * (t - r)),
    # Unit weight of the network's own output; OpenAI's "karras", ECT's "snrpk".
    "edm": lambda t, r, sigma: (t**2 + sigma**2) / (sigma * t) ** 2,
    "snr": lambda t, r, sigma: t**-2,
    "snr+1": lambda t, r, sigma: t**-2 + 1,
    "truncated-snr": lambda t, r, sigma: (t**-2).clamp_min(1),
}
