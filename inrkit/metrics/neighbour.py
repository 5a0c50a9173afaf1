"""Nearest neighbours: how much of one set lies near another, how varied a set is, and what a signal was copied from.

All distances are Euclidean, in float64, on features or on the values themselves (N, ...), a chunk of rows at a time.
"""

from collections.abc import Iterable, Iterator
from typing import final

import attrs
import torch
from torch import Tensor

from inrkit.errors import UsageError
from inrkit.metrics.feature import in_double

_CHUNK_NUMBERS = 2**22  # distances held at once: 32 MB


@final
@attrs.frozen
class PrecisionRecall:
    """Four shares, all about 1 for equal distributions; only ``density`` may exceed 1."""

    precision: float
    recall: float
    density: float
    coverage: float

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall, 0 when both are 0."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total > 0 else 0.0


@final
@attrs.frozen(eq=False)
class Neighbours:
    """For each query the ``indices`` (Q,) of its nearest reference and the ``distances`` (Q,) to it."""

    indices: Tensor
    distances: Tensor


@torch.no_grad()
def precision_recall(real: Tensor, samples: Tensor, *, k: int = 3) -> PrecisionRecall:
    """Improved precision and recall (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020).

    Around every point of a set lies the ball that reaches to its k-th nearest other point of that set.

    * precision: the share of samples inside any real ball; recall: the share of real points inside any sample ball;
    * density: the number of real balls that a sample lies in, over k; coverage: the share of real balls with a sample.

    Args:
        real, samples: Features (N, D) and (M, D), both more than k rows; equal numbers make the two shares comparable.
    """
    x, y = _rows("real", real, k + 1), _rows("samples", samples, k + 1)
    real_radius, sample_radius = _radius(x, k), _radius(y, k)
    inside, balls, start = 0, 0, 0
    recalled, covered = torch.zeros(2, len(x), dtype=torch.bool, device=x.device)
    for distance in _distances(y, x):  # (chunk, N)
        in_real = distance <= real_radius
        in_sample = distance <= sample_radius[start : start + len(distance), None]
        inside += int(in_real.any(dim=1).sum())
        balls += int(in_real.sum())
        covered |= in_real.any(dim=0)
        recalled |= in_sample.any(dim=0)
        start += len(distance)
    return PrecisionRecall(
        precision=inside / len(y),
        recall=float(recalled.double().mean()),
        density=balls / (k * len(y)),
        coverage=float(covered.double().mean()),
    )


@torch.no_grad()
def mean_pairwise_distance(features: Tensor) -> float:
    """The mean distance of two different rows of (N, D)."""
    x = _rows("features", features, 2)
    return sum(float(distance.sum()) for distance in _distances(x, x)) / (len(x) * (len(x) - 1))


def diversity(samples: Tensor, real: Tensor) -> float:
    """Mean pairwise distance of the samples over that of the real rows: 1 as varied, 0 all the same."""
    scale = mean_pairwise_distance(real)
    if scale == 0:
        raise UsageError("'real' must hold at least two different rows; all of them are equal.")
    return mean_pairwise_distance(samples) / scale


@torch.no_grad()
def nearest(queries: Tensor, references: Tensor | Iterable[Tensor], *, chunk: int = 1024) -> Neighbours:
    """The nearest reference of every query: what a sample would have been copied from.

    The candidate is found by a matrix product and its distance then measured, so that a copy is at exactly 0. A query
    that is not finite has index -1 and an infinite distance.

    Args:
        queries: (Q, ...), values or features.
        references: (N, ...) of the same shape per row, or an iterable of such batches, numbered through, for a set that
            is too large to hold.
    """
    x = _rows("queries", queries, 1)
    best = torch.full((len(x),), torch.inf, dtype=x.dtype, device=x.device)
    index = torch.full((len(x),), -1, dtype=torch.long, device=x.device)
    start = 0
    for batch in [references] if isinstance(references, Tensor) else references:
        for rows in batch.split(chunk):
            y = _rows("references", rows, 1).to(x.device)
            if (found := y.shape[1]) != (wanted := x.shape[1]):
                raise UsageError(f"'references' must have {wanted} numbers per row, like the queries (got {found}).")
            shift = y.mean(dim=0)
            near = ((y - shift).square().sum(1) - 2 * (x - shift) @ (y - shift).T).argmin(dim=1)
            distance = (x - y[near]).norm(dim=1)
            nearer = distance < best
            index, best = torch.where(nearer, near + start, index), torch.where(nearer, distance, best)
            start += len(y)
    if start == 0:
        raise UsageError("'references' must hold at least one row; it is empty.")
    return Neighbours(index, best)


def _rows(name: str, x: Tensor, least: int) -> Tensor:
    """(N, D) in float64 with at least that many rows."""
    if x.ndim < 2 or len(x) < least:
        raise UsageError(f"'{name}' must be (N, ...) with N of at least {least} (got {tuple(x.shape)}).")
    return in_double(x.flatten(1))


def _distances(x: Tensor, y: Tensor) -> Iterator[Tensor]:
    """Distances (chunk, M) from the rows of x to all of y.

    Not by matrix product: equal points must be at 0 and ties must tie, for the balls are closed.
    """
    for rows in x.split(max(1, _CHUNK_NUMBERS // len(y))):
        yield torch.cdist(rows, y, compute_mode="donot_use_mm_for_euclid_dist")


def _radius(x: Tensor, k: int) -> Tensor:
    """The distance of each row to its k-th nearest other row, (N,): itself is the first of k + 1."""
    return torch.cat([distance.kthvalue(k + 1, dim=1).values for distance in _distances(x, x)])
