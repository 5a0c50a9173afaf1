"""How good an answer is: row by row against the truth, or set against set on any features.

    psnr, ssim                          (B, C, ...), (B, C, ...) → (B,)
    kernel_distance                     (N, D), (M, D) features  → float, 0 on average for equal distributions
    sliced_wasserstein                  (N, ...), (M, ...)       → float, in the unit of the values
    compare_sets                        these, and those in ``frechet`` and ``neighbour``, with their floor and ceiling

Figures of sets are worth nothing alone: they depend on the features and on the number of rows (the Fréchet distance is
biased upwards by about a constant over N). ``compare_sets`` prints real against real and noise against real, with the
same N, beside them.
"""

import math
from collections.abc import Callable, Mapping

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor

from inrkit.errors import UsageError
from inrkit.metrics.feature import extract, in_double
from inrkit.metrics.frechet import Gaussian, frechet_distance, frechet_error, moments_of, needed
from inrkit.metrics.neighbour import diversity, precision_recall


def psnr(prediction: Tensor, target: Tensor, *, peak: float) -> Tensor:
    """10 log10(peak² / mean squared error) of each row, in dB, (B,); infinite where they are equal.

    ``peak`` is the width of the range of the values: 2 for values in [-1, 1].
    """
    _same_shape(prediction, target)
    error = (in_double(prediction) - in_double(target)).flatten(1).square().mean(dim=1)
    return 10 * torch.log10(peak**2 / error)


def ssim(prediction: Tensor, target: Tensor, *, peak: float, lowest: float = 0.0, window: int = 11) -> Tensor:
    """Structural similarity (Wang et al. 2004) of each row, (B,), for one, two or three spatial axes.

    The mean over channels and positions of
    (2 μx μy + c1)(2 σxy + c2) / ((μx² + μy² + c1)(σx² + σy² + c2)), c1 = (.01 peak)², c2 = (.03 peak)²,
    with moments under a Gaussian window (σ = 1.5), taken only where the whole window lies inside.

    Args:
        peak: The width of the range of the values.
        lowest: The lowest value; the formula is meant for values from 0 on, so [-1, 1] has peak 2 and lowest -1.
        window: Taps per axis, odd; fewer where the signal is smaller.
    """
    _same_shape(prediction, target)
    if not 3 <= prediction.ndim <= 5:
        raise UsageError(f"`ssim` expects (B, C, ...) with one to three spatial axes (got {tuple(prediction.shape)}).")
    if window < 1 or window % 2 == 0:
        raise UsageError(f"'window' must be an odd number of taps (got {window}).")
    chunk = max(1, 2**16 // max(1, prediction[:1].numel()))  # five maps of a chunk stay in the cache
    pairs = zip(prediction.split(chunk), target.split(chunk), strict=True)
    return torch.cat([_similarity(in_double(x) - lowest, in_double(y) - lowest, peak, window) for x, y in pairs])


def _similarity(x: Tensor, y: Tensor, peak: float, window: int) -> Tensor:
    shortest = min(x.shape[2:])
    taps = min(window, shortest - (shortest + 1) % 2)
    mx, my, xx, yy, xy = _blur(torch.stack([x, y, x * x, y * y, x * y]), taps)
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    similar = (2 * mx * my + c1) * (2 * (xy - mx * my) + c2)
    total = (mx * mx + my * my + c1) * (xx - mx * mx + yy - my * my + c2)
    each: Tensor = (similar / total).flatten(1).mean(dim=1)
    return each


def _blur(x: Tensor, taps: int) -> Tensor:
    """Weighted means under a Gaussian window along every axis of (5, B, C, ...) from the fourth on.

    Shifted sums: for one channel at a time they are eight times faster than torch's convolution on a CPU.
    """
    weights = [math.exp(-0.5 * ((i - (taps - 1) / 2) / 1.5) ** 2) for i in range(taps)]
    for axis in range(3, x.ndim):
        size = x.shape[axis] - taps + 1
        blurred = torch.zeros_like(x.narrow(axis, 0, size))
        for shift, weight in enumerate(weights):
            blurred.add_(x.narrow(axis, shift, size), alpha=weight / sum(weights))
        x = blurred
    return x


def _same_shape(prediction: Tensor, target: Tensor) -> None:
    if prediction.shape != target.shape or prediction.ndim < 2:
        found = f"{tuple(prediction.shape)} and {tuple(target.shape)}"
        raise UsageError(f"'prediction' and 'target' must have the same shape (B, C, ...) (got {found}).")


@torch.no_grad()
def kernel_distance(a: Tensor, b: Tensor) -> float:
    """KID (Bińkowski et al. 2018): the unbiased squared MMD under the kernel k(x, y) = (x·y / D + 1)³.

    E k(x, x') + E k(y, y') - 2 E k(x, y) over different rows; its expectation is 0 for equal distributions whatever
    the number of rows, so small negative numbers are right.

    Args:
        a, b: Features (N, D) and (M, D).
    """
    x, y = in_double(a), in_double(b)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or min(len(x), len(y)) < 2:
        found = f"{tuple(a.shape)}, {tuple(b.shape)}"
        raise UsageError(f"expected features (N, D), (M, D) of 2 rows or more (got {found}).")
    n, m = len(x), len(y)
    same_x = (_kernel_sum(x, x) - float(_kernel(x.square().sum(1), x.shape[1]).sum())) / (n * (n - 1))
    same_y = (_kernel_sum(y, y) - float(_kernel(y.square().sum(1), y.shape[1]).sum())) / (m * (m - 1))
    return same_x + same_y - 2 * _kernel_sum(x, y) / (n * m)


def _kernel(products: Tensor, dim: int) -> Tensor:
    return (products / dim + 1) ** 3


def _kernel_sum(x: Tensor, y: Tensor) -> float:
    chunks = x.split(max(1, 2**22 // len(y)))
    return sum(float(_kernel(rows @ y.T, x.shape[1]).sum()) for rows in chunks)


@torch.no_grad()
def sliced_wasserstein(a: Tensor, b: Tensor, *, generator: torch.Generator, directions: int = 256) -> float:
    """The root mean square, over random directions, of the Wasserstein-2 distance of the projections.

    Along one direction the optimal plan pairs quantiles with quantiles, exactly so for unequal numbers of rows too.

    Args:
        a, b: (N, ...) and (M, ...), values or features.
        generator: Draws the directions; use equally seeded ones for figures that are compared.
        directions: Their number; the error falls with its root.
    """
    x, y = in_double(a).flatten(1), in_double(b).flatten(1)
    if x.shape[1] != y.shape[1] or min(len(x), len(y)) < 1:
        raise UsageError(f"both sets must have rows of the same shape (got {tuple(a.shape)} and {tuple(b.shape)}).")
    n, m = len(x), len(y)
    # Cut [0, 1] where either quantile function jumps, in units of 1 / (n m).
    cuts = torch.cat([torch.arange(1, n + 1) * m, torch.arange(1, m + 1) * n]).unique()
    share = (cuts.diff(prepend=cuts.new_zeros(1)).double() / (n * m)).to(x.device)
    left, right = ((cuts - 1) // m).to(x.device), ((cuts - 1) // n).to(x.device)
    total = 0.0
    for start in range(0, directions, 64):
        drawn = torch.randn(x.shape[1], min(64, directions - start), generator=generator, dtype=x.dtype)
        unit = F.normalize(drawn, dim=0).to(x.device)
        p, q = (x @ unit).sort(dim=0).values, (y @ unit).sort(dim=0).values
        total += float((share[:, None] * (p[left] - q[right]).square()).sum())
    return float((total / directions) ** 0.5)


@torch.no_grad()
def compare_sets(
    real_a: Tensor,
    real_b: Tensor,
    samples: Mapping[str, Tensor],
    features: Callable[[Tensor], Tensor],
    *,
    seed: int = 0,
    on_values: bool = True,
    few: int = 0,
) -> dict[str, dict[str, float]]:
    """All figures of sets for samples, for other real data and for noise, each against the same held-out data.

    Args:
        real_a, real_b: Values (N, C, ...) of two disjoint parts of data that were not trained on.
        samples: Sets of generated signals by name, values (N, C, ...) measured in the same way. Of all sets the first
            N rows are used, N being the size of the smallest, because the figures depend on N.
        features: A feature extractor, fitted on training data or on ``real_a`` if at all.
        seed: For the noise and the directions of the sliced distance.
        on_values: Also compare the values themselves, which takes no features.
        few: The number of rows below which the standard error of the Fréchet distance is computed, too.

    Returns:
        One row for each name, one for ``real`` (``real_b``: the floor that the best generator reaches) and one for
        ``noise`` (uniform within the range of each channel of ``real_a``: what knows nothing). In each: ``frechet``,
        ``kid``, ``precision``, ``recall``, ``f1``, ``density``, ``coverage`` and ``diversity`` on the features,
        ``sliced_wasserstein`` on the values, ``count``, the N of all of them, and ``needed``, the least N with which
        the Fréchet distance means something. With fewer than ``few``, ``frechet_error``.
    """
    count = min(map(len, (real_a, real_b, *samples.values())))
    reference = real_a[:count]
    target = extract(features, reference)
    gaussian = Gaussian.fit(target)
    rows: dict[str, dict[str, float]] = {}
    for name, values in {**samples, "real": real_b, "noise": _noise_like(reference, seed)}.items():
        found = extract(features, values[:count])
        near = precision_recall(target, found)
        rows[name] = {
            "frechet": frechet_distance(found, gaussian),
            "kid": kernel_distance(found, target),
            **attrs.asdict(near),
            "f1": near.f1,
            "diversity": diversity(found, target),
            "count": count,
            "needed": needed(target.shape[1]),
        }
        if needed(target.shape[1]) <= count < few:
            rows[name]["frechet_error"] = frechet_error(moments_of(found), gaussian)
        if on_values:
            generator = torch.Generator().manual_seed(seed)
            rows[name]["sliced_wasserstein"] = sliced_wasserstein(values[:count], reference, generator=generator)
    return rows


def _noise_like(values: Tensor, seed: int) -> Tensor:
    """Uniform noise of the same shape, within the range of each channel."""
    others = [axis for axis in range(values.ndim) if axis != 1]
    low, high = values.amin(others, keepdim=True), values.amax(others, keepdim=True)
    drawn = torch.rand(values.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float32)
    return low + (high - low) * drawn.to(values)
