"""How different two pictures look to a network: LPIPS, and the same distance for networks without its heads."""

import torch
from torch import Tensor

from inrkit.errors import UsageError
from inrkit.metrics.feature import FeatureNetwork

_EPS = 1e-10


def perceptual_distance(network: FeatureNetwork, x: Tensor, y: Tensor) -> Tensor:
    """LPIPS (Zhang et al. 2018) of pictures (B, 3, H, W) on [-1, 1], (B,); differentiable.

    The sum over stages of the mean over places of sum_c w_c (a_c / |a| - b_c / |b|)², where a and b are the channels of
    the two pictures at a place. The weights w are the network's heads; all are 1 where it has none.
    """
    total = x.new_zeros(len(x))
    stages = list(zip(network.stages(x), network.stages(y), strict=True))
    if not stages:
        raise UsageError(f"'{network.name}' has no stages that pictures could be compared by; take another network")
    heads = network.heads or [torch.ones((), device=x.device)] * len(stages)
    for (a, b), head in zip(stages, heads, strict=True):
        apart = (_unit(a) - _unit(b)).square()
        total = total + (apart * head.to(apart)).sum(1).mean((1, 2))
    return total


def has_stages(network: FeatureNetwork) -> bool:
    """Whether pictures can be compared by it."""
    return type(network).stages is not FeatureNetwork.stages


def _unit(x: Tensor) -> Tensor:
    return x / (x.square().sum(1, keepdim=True) + _EPS**2).sqrt()
