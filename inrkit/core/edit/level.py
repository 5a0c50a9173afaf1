"""How much noise there is in a signal that nobody knows the clean version of."""

import torch
from torch import Tensor


def noise_level(values: Tensor) -> Tensor:
    """The standard deviation of white noise in values (B, C, *size), (B,).

    The differences of neighbours along all axes at once hold little of a signal and all of the noise; of their size the
    median is taken, which edges hardly move: σ = median |d| / .6745 (Donoho and Johnstone, 1994).
    """
    difference = values.float()
    for axis in range(2, values.ndim):
        if values.shape[axis] > 1:
            difference = difference.diff(dim=axis) / 2**0.5
    quartile: Tensor = torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor(0.75))
    return difference.flatten(1).abs().median(1).values / quartile
