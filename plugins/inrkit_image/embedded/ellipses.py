"""Pictures made of ellipses, as functions of continuous coordinates that are averaged over each pixel's area.

In coordinates (u, v) along its axes, in units of its radii a and b, an ellipse is f = u² + v² - 1, negative inside.
f / |∇f| = (u² + v² - 1) / (2 sqrt(u²/a² + v²/b²)) is the distance to the outline to first order (G. Taubin, 1991).
Coverage falls from 1 to 0 within one sample's width around the outline: what a straight edge cuts off the sample,
exactly if it is parallel to an axis. Farther away it is exactly 0, so an ellipse is drawn within its own window only.

Coordinates: the shorter side of the picture spans [-1, 1]; x grows to the right and y downwards, pixels are areas.
Pictures lie in the last axis, so that what differs between them is a vector that all samples share.
"""

from typing import final

import attrs
import torch
from torch import Tensor

from inrkit_image.embedded.patch import Window


@final
@attrs.frozen(eq=False)
class Similarity:
    """From the coordinates of B upright figures to those of the picture: turned, scaled, then moved; (B,) each."""

    tilt: Tensor
    scale: Tensor
    dx: Tensor
    dy: Tensor


@final
@attrs.frozen(eq=False)
class Ellipses:
    """K ellipses of each of B figures, (K, B) each.

    ``soft`` is the width over which an outline fades; a sample's own width is added to it in squares.
    """

    x: Tensor
    y: Tensor
    a: Tensor
    b: Tensor
    angle: Tensor
    soft: Tensor
    opacity: Tensor

    def of(self, figures: Tensor) -> "Ellipses":
        """Those of some figures."""
        return Ellipses(*(getattr(self, field.name)[:, figures] for field in attrs.fields(Ellipses)))

    def moved(self, by: Similarity, fixed: Tensor) -> "Ellipses":
        """Mapped into the picture, but for those that are ``fixed`` (K, 1); their softness stays."""
        cos, sin = by.tilt.cos() * by.scale, by.tilt.sin() * by.scale
        there = {
            "x": cos * self.x - sin * self.y + by.dx,
            "y": sin * self.x + cos * self.y + by.dy,
            "a": by.scale * self.a,
            "b": by.scale * self.b,
            "angle": self.angle + by.tilt,
        }
        return attrs.evolve(self, **{name: torch.where(fixed, getattr(self, name), to) for name, to in there.items()})

    def boxes(self, width: float) -> tuple[Tensor, Tensor]:
        """Least and greatest (y, x), (2, K, B) each: outside, the coverage of samples of this width is exactly 0.

        Where u² + v² = q², the distance is at least b (q² - 1) / 2q, b being the smaller radius; half the fading
        width is less than that beyond the larger root of q² - q fade / b - 1.
        """
        fade = self._fade(width) / torch.minimum(self.a, self.b)
        reach = (fade + (fade * fade + 4).sqrt()) / 2
        cos, sin = self.angle.cos(), self.angle.sin()
        high, wide = torch.hypot(self.a * sin, self.b * cos), torch.hypot(self.a * cos, self.b * sin)
        centre, extent = torch.stack((self.y, self.x)), torch.stack((high, wide)) * reach + width / 2
        return centre - extent, centre + extent

    def polynomials(self, width: float) -> Tensor:
        """(2, 6, K, B): coefficients of 1, x, x², y, y² and xy in -f, and in (2 fade |∇f|/2)²."""
        cos, sin = self.angle.cos(), self.angle.sin()
        u = (-(cos * self.x + sin * self.y) / self.a, cos / self.a, sin / self.a)  # of 1, x and y
        v = ((sin * self.x - cos * self.y) / self.b, -sin / self.b, cos / self.b)
        fade = 2 * self._fade(width)
        return torch.stack((-_squares(u, v, 1, 1, 1), _squares(u, v, (fade / self.a) ** 2, (fade / self.b) ** 2, 0)))

    def _fade(self, width: float) -> Tensor:
        return (self.soft * self.soft + width * width).sqrt()


def _squares(u: tuple[Tensor, ...], v: tuple[Tensor, ...], p: Tensor | float, q: Tensor | float, less: float) -> Tensor:
    """(6, K, B) coefficients of p u² + q v² - less, where u and v are linear in 1, x and y."""
    pairs = ((0, 0, 1), (0, 1, 2), (1, 1, 1), (0, 2, 2), (2, 2, 1), (1, 2, 2))
    found = torch.stack([(p * u[i] * u[j] + q * v[i] * v[j]) * times for i, j, times in pairs])
    found[0] -= less
    return found


def coverage(polynomials: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """(2, 6, B) -> (h, w, B): the part of each sample's area inside of one ellipse; samples at x (w,) and y (h,)."""
    inside, slope = (_values(coefficients, x[:, None], y[:, None]) for coefficients in polynomials)
    # rounding can make a square negative at the centre, where it vanishes
    return inside.mul_(slope.clamp_(min=1e-8).rsqrt_()).add_(0.5).clamp_(0, 1)


def _values(coefficients: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """A polynomial (6, B) at all places: (h, w, B). Each operation rounds alike, however many pictures there are."""
    one, of_x, of_xx, of_y, of_yy, of_xy = coefficients.unbind()
    column, row = (of_xx * x + of_x) * x + one, (of_yy * y + of_y) * y
    return ((of_xy * x) * y[:, None]).add_(column).add_(row[:, None])


@final
class Canvas:
    """A band of pixel rows of pictures (H, W), and the samples in it: ``supersample`` squared for each pixel."""

    def __init__(self, rows: range, size: tuple[int, int], supersample: int, device: torch.device) -> None:
        height, width = size
        self.step = 2.0 / min(height, width) / supersample
        """The width of a sample."""

        def centres(first: int, stop: int, pixels: int) -> Tensor:
            numbers = torch.arange(first * supersample, stop * supersample, device=device)
            return (numbers + (0.5 - pixels * supersample / 2)) * self.step

        self.x, self.y = centres(0, width, width), centres(rows.start, rows.stop, height)

    def windows(self, ellipses: Ellipses) -> tuple[Tensor, list[Window]]:
        """Which ellipses are seen in the band (K, B), and for each k a window that holds it in all figures."""
        low, high = ellipses.boxes(self.step)
        first = torch.stack((self.y[0], self.x[0]))[:, None, None]
        count = torch.tensor((len(self.y), len(self.x)), device=low.device)[:, None, None]
        start = ((low - first) / self.step).floor().clamp(min=0)
        stop = torch.minimum(((high - first) / self.step).ceil() + 1, count)
        seen = (start < stop).all(0)
        figures = torch.arange(seen.shape[1], device=low.device).expand_as(start[:1])
        start = torch.cat((start, figures)).masked_fill(~seen, torch.inf).amin(2)
        stop = torch.cat((stop, figures + 1)).masked_fill(~seen, 0).amax(2)
        ends = torch.stack((torch.minimum(start, stop), stop), 2).int().tolist()
        return seen, [tuple(slice(*span) for span in spans) for spans in zip(*ends, strict=True)]
