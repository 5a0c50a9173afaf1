"""Noise levels, what the network sees at each of them (preconditioning), and how its answer is read (read-out).

The consistency function f(x_t, t) keeps the boundary f(x, 0) = x. The network renders F; the read-out makes f of it:

    literal      f = c_skip x_t + c_out F,               F = render
    two-headed   f = c_skip x_t + c_out (a Ô + b N̂),     render = (Ô, N̂)
    direct       f = c_skip x_t + (1 - c_skip) F,        c_skip narrow

In all of them *the signal* that an INR carries can be asked for, without x_t: see `Readout.signal`.

References: EDM (arXiv:2206.00364) for the preconditioning and c_skip, c_out; ECT (arXiv:2406.14548) for the
distribution of noise levels and c_noise; `TwoHeadedReadout` and `DirectReadout` are inrkit's own.
"""

import abc
import math
from typing import Any, ClassVar, final

import attrs
import torch
from torch import Tensor

from inrkit.core.draws import Draws
from inrkit.core.observation import expand
from inrkit.core.option import AT_LEAST_0, POSITIVE, check_readout, option

T_MIN = 0.003
T_MAX = 80.0
T_ENCODE = 0.007
"""Below this a signal counts as clean: its INR is an encoding, which reconstruction trains."""


@final
@attrs.frozen
class LogNormal:
    """ln t ~ N(mean, std²), not clamped (ECT)."""

    mean: float = -1.1
    std: float = option(2.0, "standard deviation of ln t", POSITIVE)

    def sample(self, draws: Draws) -> Tensor:
        """One noise level per row, (B,)."""
        return torch.exp(draws.normal() * self.std + self.mean)

    def quantile(self, q: float) -> float:
        """The level below which a share ``q`` of the samples lies: quantile(.25) = .0864 for the defaults."""
        normal = torch.distributions.Normal(self.mean, self.std)
        return math.exp(float(normal.icdf(torch.tensor(q, dtype=torch.float64))))

    def cdf(self, t: float) -> float:
        """The share of samples below t: cdf(.007) = .0267 for the defaults."""
        return 0.5 * (1 + math.erf((math.log(t) - self.mean) / (self.std * math.sqrt(2))))


@final
@attrs.frozen
class Preconditioning:
    """What the network is shown at noise level t: values of unit variance, and a level of order one."""

    sigma_data: float = option(0.5, "standard deviation of the clean values", POSITIVE)
    t_min: float = option(T_MIN, "noise level that the network is told for clean signals", POSITIVE)

    def c_in(self, t: Tensor) -> Tensor:
        """1 / sqrt(σ_data² + t²)"""
        return torch.rsqrt(self.sigma_data**2 + t**2)

    def c_noise(self, t: Tensor) -> Tensor:
        """ln(t) / 4, finite at t = 0: a clean signal is announced as one at t_min."""
        return t.clamp_min(self.t_min).log() / 4


@attrs.frozen
class Readout(abc.ABC):
    """How the consistency function f and the signal are read from what an INR renders.

    Args:
        sigma_data: Standard deviation of the clean values.
        offset: Puts the boundary at t = offset instead of 0 (ECT evaluates at .003 but trains at 0).
    """

    name: ClassVar[str]
    heads: ClassVar[int] = 1
    """How many signals one INR renders, stacked along the channels."""
    needs_reencoding: ClassVar[bool] = False
    """Whether f depends on x_t so much that after several steps the INR alone is not the sample."""

    sigma_data: float = option(0.5, "standard deviation of the clean values", POSITIVE)
    offset: float = option(0.0, "noise level where f(x_t, t) = x_t (boundary condition); ECT: 0.003", AT_LEAST_0)

    def c_skip(self, t: Tensor) -> Tensor:
        """Weight of x_t in f; 1 at the boundary. Here, EDM's."""
        return self.sigma_data**2 / ((t - self.offset) ** 2 + self.sigma_data**2)

    @abc.abstractmethod
    def output(self, render: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """f(x_t, t) from the render (B, heads * C, ...). Law: f = x_t at the boundary."""

    @abc.abstractmethod
    def signal(self, render: Tensor, t: Tensor) -> Tensor:
        """The clean signal (B, C, ...) in an INR that was made at noise level t, without x_t."""


@final
@attrs.frozen
class LiteralReadout(Readout):
    """EDM's coefficients on the render, as the INRCT paper writes it.

    The render has to be minus the noise at small t and twice the signal at T; only below ``t_encode``, where
    reconstruction trains it, is it the signal itself.
    """

    name = "literal"
    needs_reencoding = True
    t_encode: float = option(
        T_ENCODE, "up to this noise level the render is the signal; the objective's t_recon", AT_LEAST_0
    )

    def c_out(self, t: Tensor) -> Tensor:
        return (t - self.offset) * self.sigma_data * torch.rsqrt(t**2 + self.sigma_data**2)

    def output(self, render: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        return expand(self.c_skip(t), x_t) * x_t + expand(self.c_out(t), x_t) * render

    def signal(self, render: Tensor, t: Tensor) -> Tensor:
        gain = torch.where(t <= self.t_encode, torch.ones_like(t), self.c_out(t))
        return expand(gain, render) * render


@final
@attrs.frozen
class TwoHeadedReadout(Readout):
    """The INR has a head for the signal, Ô, and one for the noise, N̂; F = a Ô + b N̂ has unit variance by construction.

    With a = t / (σ sqrt(t² + σ²)) and b = -σ / sqrt(t² + σ²) the boundary holds and f = Ô at T.
    """

    name = "two-headed"
    heads = 2

    def output(self, render: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        signal, noise = render.chunk(2, dim=1)
        scale = (t - self.offset) / (t**2 + self.sigma_data**2)  # c_out / sqrt(t² + σ²) / σ
        combined = expand(scale * t, x_t) * signal - expand(scale * self.sigma_data**2, x_t) * noise
        return expand(self.c_skip(t), x_t) * x_t + combined

    def signal(self, render: Tensor, t: Tensor) -> Tensor:
        return render.chunk(2, dim=1)[0]


@final
@attrs.frozen
class DirectReadout(Readout):
    """The render is the signal at every t; a narrow c_skip of width ``width`` keeps the boundary.

    A flow map x_s = (s/t) x_t + (1 - s/t) f keeps its boundary s = t whatever f is, and needs no width; with the
    width they learn better all the same, for it takes the weight off small t.
    """

    name = "direct"
    width: float = option(
        0.1,
        "noise level at which c_skip is 1/2; 0: f is the render at every t > 0, as flow maps allow",
        AT_LEAST_0,
    )

    def c_skip(self, t: Tensor) -> Tensor:
        gap = (t - self.offset) ** 2
        return torch.where(gap == 0, 1.0, self.width**2 / (gap + self.width**2))

    def output(self, render: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        return torch.lerp(render, x_t, expand(self.c_skip(t), x_t))

    def signal(self, render: Tensor, t: Tensor) -> Tensor:
        return render


READOUTS: dict[str, type[Readout]] = {kind.name: kind for kind in (LiteralReadout, TwoHeadedReadout, DirectReadout)}


def readout_class(name: str) -> type[Readout]:
    """The read-out of this name."""
    check_readout(name)
    return READOUTS[name]


def make_readout(name: str, **options: Any) -> Readout:
    """The read-out of this name, with these options."""
    return readout_class(name)(**options)
