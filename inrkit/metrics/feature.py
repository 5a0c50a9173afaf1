"""Features of signals for comparing sets: (B, C, ...) values to (B, D) numbers, with nothing to download.

    values ──Features──▶ features ──metric──▶ Fréchet, KID, precision and recall, ...

Two kinds that see different things, and one wrapper. A fixed random network sees local structure (sharpness, contrast,
noise) and the coarse layout; principal components see where and how the set varies. Neither knows what the signal
means: print the figures of real against real beside theirs (``metric.compare_sets``), and look at the samples.

Any callable from values to (B, D) will do where features are asked for, a pretrained network of the user's included.
"""

import abc
import math
import random
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inrkit.errors import UsageError

_CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_POOL = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
_CELLS = {1: F.adaptive_avg_pool1d, 2: F.adaptive_avg_pool2d, 3: F.adaptive_avg_pool3d}
_FOLD = 0.5  # the slope of the mirrored half of the nonlinearity


class Features(nn.Module, abc.ABC):
    """A fixed map from signals to feature vectors.

    Laws: rows do not see each other; the same values give the same features.
    """

    @property
    @abc.abstractmethod
    def dim(self) -> int:
        """The number D of features per row."""

    @abc.abstractmethod
    def forward(self, values: Tensor) -> Tensor:
        """Values (B, C, ...) to features (B, D)."""


class FeatureNetwork(Features):
    """Features that can be asked for by name (`register_features`): of pictures (B, 3, H, W) on [-1, 1], of any size.

    ``Options`` is an attrs class, such as a path to weights that the user has: a network brings its weights along, or
    reads them from a file of this machine, and never fetches them.
    """

    name: ClassVar[str]
    Options: ClassVar[type]

    @classmethod
    @abc.abstractmethod
    def build(cls, options: Any) -> Self:
        """The network with these options, its weights in place."""

    def stages(self, values: Tensor) -> Sequence[Tensor]:
        """Feature maps (B, C, h, w) of pictures, from fine to coarse, that two pictures can be compared by; may be
        none. Differentiable."""
        return ()

    @property
    def heads(self) -> Sequence[Tensor]:
        """For each stage the weights (C, 1, 1) of its channels in that comparison; none: all are 1."""
        return ()


class Classifier(FeatureNetwork):
    """A network that also says which of K classes a picture is of."""

    @abc.abstractmethod
    def logits(self, features: Tensor) -> Tensor:
        """The last layer: features (B, D) to a score for each class, (B, K)."""


@torch.no_grad()
def extract(features: Callable[[Tensor], Tensor], values: Tensor, *, chunk: int = 256) -> Tensor:
    """The features of all rows, (N, D) in float64, computed ``chunk`` rows at a time."""
    parts = [features(rows) for rows in values.split(chunk)]
    if odd := [tuple(part.shape) for part in parts if part.ndim != 2]:
        who = type(features).__name__
        raise UsageError(f"'features' must return (B, D); {who} returned {odd[0]}; flatten or pool its answer.")
    return in_double(torch.cat(parts))


def in_double(x: Tensor) -> Tensor:
    """The same numbers in float64, moved to the CPU from a device that has no float64."""
    return x.to("cpu", torch.float64) if x.device.type == "mps" else x.double()


def centred(x: Tensor) -> tuple[Tensor, Tensor]:
    """Rows (N, ...) as (N, D) in float64, less their mean (D,); and that mean."""
    x = in_double(x.flatten(1))
    mean = x.mean(dim=0)
    return x - mean, mean


@final
class RandomConvFeatures(Features):
    """A convolutional network whose weights are drawn once and never trained.

    Three stages of: 3-tap convolution along every axis, fold, average pooling by two. Before the pooling, three
    quarters of a stage's channels are averaged over the whole signal and one quarter over two cells per axis, so that
    the features know where things are: 336 features for two axes (240 for one, 528 for three).

    With ``edges``, every second filter of the first stage has taps that sum to zero, so it answers to differences only.
    Without, smooth variation drowns fine texture: noise of 2.5 % of the range on drawn faces is within the error of
    real against real, and 15 to 20 times that with them.

    The fold max(v, -v/2) keeps every channel alive whatever the seed (rectified random channels die, and rare
    activations make the distance as noisy as the sample is small), tells x from -x, and together with convolutions
    without offset makes the features positively homogeneous: features(a x) = a features(x) for a > 0. They still
    have very different scales; ``Standardised.fit(RandomConvFeatures(...), real)`` puts that right.

    Args:
        channels: Channels C of the values.
        size: The spatial size, one to three numbers of at least 8. It decides the number of axes; the network then
            takes any size of at least 8 along each of them.
        seed: Draws the weights: He-uniform, by Python's own generator, whose sequence is the same on every machine.
        widths: Channels of the three stages.
        edges: Make half of the first stage blind to all but differences.
    """

    def __init__(
        self,
        channels: int,
        size: tuple[int, ...],
        *,
        seed: int = 0,
        widths: tuple[int, ...] = (32, 64, 96),
        edges: bool = False,
    ) -> None:
        super().__init__()
        if not 1 <= len(size) <= 3 or min(size) < 8:
            raise UsageError(f"'size' must be one to three numbers of at least 8 (got {tuple(size)}).")
        self.channels, self.axes, self.widths = channels, len(size), tuple(widths)
        generator = random.Random(seed)
        fan_in = [channels, *widths[:-1]]
        for stage, (narrow, wide) in enumerate(zip(fan_in, widths, strict=True)):
            weight = _he_uniform(generator, (wide, narrow, *[3] * self.axes))
            if stage == 0 and edges:
                weight[::2] -= weight[::2].flatten(2).mean(dim=2).reshape(-1, narrow, *[1] * self.axes)
            self.register_buffer(f"weight{stage}", weight)

    @property
    def dim(self) -> int:
        return sum(w - w // 4 + w // 4 * 2**self.axes for w in self.widths)

    def forward(self, values: Tensor) -> Tensor:
        if values.ndim != self.axes + 2 or values.shape[1] != self.channels or min(values.shape[2:]) < 8:
            raise UsageError(
                f"`RandomConvFeatures` expects values (B, {self.channels}, ...) with {self.axes} spatial axes of at "
                f"least 8 (got {tuple(values.shape)}); build it with these channels and this size."
            )
        x, found = values.float(), []
        for stage, width in enumerate(self.widths):
            padded = F.pad(x, (1, 1) * self.axes, mode="replicate")
            v = _CONV[self.axes](padded, self.get_buffer(f"weight{stage}"))
            x = torch.maximum(v, -_FOLD * v)
            whole, placed = x.split([width - width // 4, width // 4], dim=1)
            found += [whole.flatten(2).mean(2), _CELLS[self.axes](placed, 2).flatten(1)]
            x = _POOL[self.axes](x, 2)
        return torch.cat(found, dim=1)


def _he_uniform(generator: random.Random, shape: tuple[int, ...]) -> Tensor:
    """Weights that keep E[v²] from stage to stage: fan_in Var(w) E[fold(v)²] = E[v²]."""
    fan_in = math.prod(shape[1:])
    bound = math.sqrt(3 / fan_in * 2 / (1 + _FOLD**2))
    drawn = [bound * (2 * generator.random() - 1) for _ in range(math.prod(shape))]
    return torch.tensor(drawn, dtype=torch.float64).float().reshape(shape)


@final
class Standardised(Features):
    """Other features, shifted and scaled so that the real data have mean 0 and standard deviation 1 in each of them.

    Distances then do not depend on the unit of the values or of any feature, the Fréchet distance of a set that has
    collapsed onto the mean is about D, and KID's kernel sees numbers of the size it is made for. Only per-feature
    scales are divided out, not correlations: whitening fully would raise every direction that hardly varies, and its
    sampling noise, to the size of the others.

    A feature that varies less than a thousandth of the widest one is divided by that thousandth instead.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, features: Callable[[Tensor], Tensor], mean: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.features = features
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)

    @classmethod
    def fit(cls, features: Callable[[Tensor], Tensor], real: Tensor, *, chunk: int = 256) -> Self:
        """Learn mean and scale from real values (N, C, ...), N of at least 2."""
        if len(real) < 2:
            raise UsageError(f"'real' must hold at least 2 signals (got {len(real)}).")
        found = extract(features, real, chunk=chunk)
        std = found.std(dim=0)
        floor = 1e-3 * std.max()
        scale = std.clamp_min(floor) if floor > 0 else torch.ones_like(std)
        return cls(features, found.mean(dim=0).float(), scale.float())

    @property
    def dim(self) -> int:
        return len(self.mean)

    def forward(self, values: Tensor) -> Tensor:
        return (self.features(values) - self.mean) / self.scale


@final
class WhitenedPCA(Features):
    """The real data's principal components, each with mean 0 and variance 1 over the data it was fitted on.

    features = (x - mean) V / sqrt(λ). Works for values of any shape. Blind to whatever has the data's covariance.
    """

    mean: Tensor
    basis: Tensor

    def __init__(self, mean: Tensor, basis: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)  # (P,), P values per signal
        self.register_buffer("basis", basis)  # (P, D) = V / sqrt(λ)

    @classmethod
    def fit(cls, real: Tensor, components: int = 64) -> Self:
        """The leading components of real values (N, C, ...); at most the rank of the data, and better far fewer."""
        x, mean = centred(real)
        wide = x.shape[1] > len(x)
        variance, vectors = torch.linalg.eigh((x @ x.T if wide else x.T @ x) / max(len(x) - 1, 1))
        variance, vectors = variance.flip(0), vectors.flip(1)
        rank = int((variance > 1e-9 * variance[0].clamp_min(1e-300)).sum())
        if not 1 <= components <= rank:
            given = f"the rank of the {len(x)} signals given"
            raise UsageError(f"'components' must be 1 to {rank}, {given} (got {components}).")
        variance, vectors = variance[:components], vectors[:, :components]
        if wide:  # eigenvectors of x xᵀ: xᵀ u has length sqrt((N - 1) λ)
            vectors = x.T @ vectors / ((len(x) - 1) * variance).sqrt()
        peak = vectors.gather(0, vectors.abs().argmax(dim=0, keepdim=True))
        return cls(mean.float(), (vectors * peak.sign() / variance.sqrt()).float())  # the sign is a convention

    @property
    def dim(self) -> int:
        return self.basis.shape[1]

    def forward(self, values: Tensor) -> Tensor:
        if (found := values[0].numel()) != (fitted := len(self.mean)):
            advice = "measure the signals as the fitted ones were."
            raise UsageError(f"`WhitenedPCA` was fitted on {fitted} values per signal (got {found}); {advice}")
        return (values.flatten(1).float() - self.mean) @ self.basis
