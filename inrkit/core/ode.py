"""One step along the ODE that a diffusion model defines: dx/dt = (x - f(x, t)) / t.

A signal may be observed several times, such as where the network looks (support) and where the loss does (query); all
views of it are moved, by the same params.
"""

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

from inrkit.core.observation import Views, expand

Time = Tensor | float
"""One noise level for each row, (B,), or one for all of them."""

F = Callable[[Views, Time], Views]
"""(noisy views, t) to f(x_t, t) in each of them."""


def euler(f: F, views: Views, t: Time, r: Time) -> Views:
    """x_r = x + (r - t) d, with the slope d at t (DDIM)."""
    return _shifted(views, t, r, _slopes(views, f(views, t), t))


def heun(f: F, views: Views, t: Time, r: Time) -> Views:
    """x_r = x + (r - t) (d + d') / 2, with d' the slope at r > 0 where Euler's step ends (EDM, Algorithm 1)."""
    first = _slopes(views, f(views, t), t)
    ahead = _shifted(views, t, r, first)
    second = _slopes(ahead, f(ahead, r), r)
    return _shifted(views, t, r, [(a + b) / 2 for a, b in zip(first, second, strict=True)])


SOLVERS: Mapping[str, Callable[[F, Views, Time, Time], Views]] = {"heun": heun, "euler": euler}


def _slopes(views: Views, expected: Views, t: Time) -> list[Tensor]:
    return [(x.values - f.values) / _per_row(t, x.values) for x, f in zip(views, expected, strict=True)]


def _shifted(views: Views, t: Time, r: Time, slopes: Sequence[Tensor]) -> Views:
    return tuple(
        x.with_values(x.values + _per_row(r - t, x.values) * slope) for x, slope in zip(views, slopes, strict=True)
    )


def _per_row(t: Time, like: Tensor) -> Time:
    return expand(t, like) if isinstance(t, Tensor) else t
