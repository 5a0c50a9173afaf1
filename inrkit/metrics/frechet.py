"""The Fréchet distance of two sets of features (Heusel et al. 2017), how sure it is, and how many rows it needs.

    features (N, D), in parts ──Moments──▶ mean, covariance ──frechet_distance──▶ float, 0 for equal distributions

Features are summed up as they come, so memory does not grow with the number of signals.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Self, final

import attrs
import torch
from torch import Tensor

from inrkit.errors import DataError, UsageError
from inrkit.metrics.feature import centred

_GROUPS = 5  # each costs a distance


def needed(dim: int) -> int:
    """The least number of rows with which the distance means something: with fewer than one more than there are
    features their covariance has directions that were never seen, and a set of noise can be nearer than real data."""
    return dim + 1


@final
@attrs.frozen(eq=False, slots=False)
class Gaussian:
    """The normal distribution that the Fréchet distance takes a set of features for, in float64 on the CPU."""

    mean: Tensor  # (D,)
    covariance: Tensor  # (D, D), unbiased

    @classmethod
    def fit(cls, features: Tensor) -> Self:
        """Of features (N, D)."""
        if features.ndim != 2 or len(features) < 2:
            raise UsageError(f"'features' must be (N, D) with N of at least 2 (got {tuple(features.shape)}).")
        found = Moments()
        found.add(features)
        return cls(found.mean, found.scatter / (found.count - 1))

    @cached_property
    def root(self) -> Tensor:
        """The symmetric root of the covariance; eigenvalues that rounding made negative are 0."""
        values, vectors = torch.linalg.eigh(self.covariance)
        found: Tensor = (vectors * values.clamp_min(0).sqrt()) @ vectors.T
        return found


@final
class Moments:
    """Number, mean and scatter matrix of features that come in parts, in float64 on the CPU."""

    def __init__(self) -> None:
        self.count = 0
        self.mean = self.scatter = torch.zeros((), dtype=torch.float64)

    def add(self, features: Tensor) -> None:
        """More of them, (N, D)."""
        if broken := int((~features.isfinite()).any(dim=1).sum()):
            found = f"{broken} of {len(features)} rows are not"
            raise DataError(f"features must be finite numbers; {found}; look at the signals they are of.")
        x, mean = centred(features.detach())
        self._join(len(x), mean.cpu(), (x.T @ x).cpu())

    @classmethod
    def joined(cls, parts: Iterable["Moments"]) -> "Moments":
        """Of all these together."""
        found = cls()
        for part in parts:
            found._join(part.count, part.mean, part.scatter)
        return found

    @property
    def gaussian(self) -> Gaussian:
        """What was fitted to them."""
        if self.count < 2:
            raise UsageError(f"a covariance needs at least 2 rows of features (got {self.count}).")
        return Gaussian(self.mean, self.scatter / (self.count - 1))

    def _join(self, count: int, mean: Tensor, scatter: Tensor) -> None:
        total = self.count + count
        if self.count and count:  # Chan et al. 1979: nothing is lost where means are far from 0
            step = mean - self.mean
            scatter = self.scatter + scatter + torch.outer(step, step) * (self.count * count / total)
            mean = self.mean + step * (count / total)
        if count:
            self.count, self.mean, self.scatter = total, mean, scatter


def moments_of(features: Tensor, groups: Sequence[Moments] = ()) -> list[Moments]:
    """Features (N, D) in as many groups as the standard error takes, added to those of features before them."""
    found = list(groups) or [Moments() for _ in range(_GROUPS)]
    for group, rows in zip(found, features.tensor_split(_GROUPS), strict=True):
        if len(rows):
            group.add(rows)
    return found


def frechet_distance(a: Gaussian | Tensor, b: Gaussian | Tensor) -> float:
    """|μa - μb|² + tr(Ca + Cb - 2 (Ca Cb)^½): the squared Wasserstein distance of the two Gaussians, never negative.

    The trace of the root is the sum of the singular values of Ra Rb, for symmetric roots Ra, Rb of the covariances:
    it exists for any rank, and no root is taken of a matrix that is not symmetric.

    Args:
        a, b: Features (N, D) or what was fitted to them. Fewer rows than features are fine, but the distance is biased
            upwards by sampling: compare figures with equal numbers of rows only.
    """
    a, b = (Gaussian.fit(x) if isinstance(x, Tensor) else x for x in (a, b))
    if a.mean.shape != b.mean.shape:
        raise UsageError(f"both sets must have the same features (got {len(a.mean)} and {len(b.mean)}).")
    overlap = torch.linalg.svdvals(a.root @ b.root).sum()
    apart = (a.mean - b.mean).square().sum()
    return float((apart + a.covariance.trace() + b.covariance.trace() - 2 * overlap).clamp_min(0))


def frechet_error(groups: Sequence[Moments], to: Gaussian) -> float:
    """The standard error of the distance of these groups together, by the choice of their signals: a jackknife.

    sqrt((G - 1) / G sum_i (d_i - mean d)²), where d_i is the distance without group i of G.
    """
    without = [
        frechet_distance(Moments.joined([*groups[:i], *groups[i + 1 :]]).gaussian, to) for i in range(len(groups))
    ]
    return float(((len(groups) - 1) * torch.tensor(without).double().var(correction=0)).sqrt())
