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


def training_distance(network: FeatureNetwork, x: Tensor, y: Tensor) -> Tensor:
    """`perceptual_distance` of what a training step compares: values (B, C, H, W) of one channel or three, (B,)."""
    check_pictures(x)
    return perceptual_distance(network, *(values.float().expand(-1, 3, -1, -1) for values in (x, y)))


def check_pictures(values: Tensor) -> None:
    """`UsageError` where values (B, C, ...) are no pictures."""
    if values.ndim != 4 or values.shape[1] not in (1, 3):
        raise UsageError(
            "'distance' = \"features\" compares whole pictures of 1 or 3 channels, found values of shape "
            f"{tuple(values.shape)} in a batch; take another distance, or leave 'query_points' at 0"
        )


def has_stages(network: FeatureNetwork) -> bool:
    """Whether pictures can be compared by it."""
    return type(network).stages is not FeatureNetwork.stages


def _unit(x: Tensor) -> Tensor:
    return x / (x.square().sum(1, keepdim=True) + _EPS**2).sqrt()
