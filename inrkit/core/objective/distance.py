"""How far the student's answer is from its target: a number for each row, summed over all values of the row."""

import functools
from collections.abc import Callable, Mapping
from typing import Literal

from torch import Tensor

from inrkit.errors import UsageError

_EPS = 1e-12  # keeps the gradient of the norm finite where student and target agree exactly


def squared(x: Tensor, y: Tensor) -> Tensor:
    """||x - y||² of each row, (B,)."""
    return (x - y).float().flatten(1).square().sum(1)


def l2_norm(x: Tensor, y: Tensor) -> Tensor:
    """||x - y|| of each row, un-squared (ECT with c = 0)."""
    return (squared(x, y) + _EPS).sqrt()


def pseudo_huber(x: Tensor, y: Tensor, c: float | None = None) -> Tensor:
    """sqrt(||x - y||² + c²) - c of each row; c = .00054 sqrt(d) for d values (iCT)."""
    c = 0.00054 * x[0].numel() ** 0.5 if c is None else c
    return (squared(x, y) + c**2).sqrt() - c


NO_FEATURES = (
    "'distance' = \"features\" needs a feature network, found none; name one as the config key 'features', such as "
    "alexnet, with its weights as features_options.weights"
)

Compare = Callable[[Tensor, Tensor], Tensor]
"""A number for each row of two tensors of the same shape."""
Distance = Literal["l2", "pseudo-huber", "squared", "features"]
DISTANCES: Mapping[str, Compare] = {
    "l2": l2_norm,
    "pseudo-huber": pseudo_huber,
    "squared": squared,
}


def distance_of(name: Distance, c: float | None = None, features: Compare | None = None) -> Compare:
    """The distance of this name.

    Args:
        c: The constant of pseudo-huber; None for iCT's.
        features: The distance by a feature network, for "features".
    """
    if name == "features":
        if features is None:
            raise UsageError(NO_FEATURES)
        return features
    return functools.partial(pseudo_huber, c=c) if name == "pseudo-huber" else DISTANCES[name]
