"""Pictures made of ellipses, as functions of continuous coordinates that are averaged over each pixel's area.

An ellipse is a quadratic form f(p) = pᵀQp over homogeneous points p = (x, y, 1), negative inside. Its gradient's
squared length is a quadratic form as well, so both come out of one matrix product with the monomials of the sample
points, and f/|∇f| is the distance to the outline to first order (G. Taubin, 1991). Coverage falls from 1 to 0 within
one sample's width around the outline: what a straight edge cuts off the sample, exactly if it is parallel to an axis.
"""

import torch
from torch import Tensor


def quadratic_forms(ellipses: Tensor) -> Tensor:
    """(..., 5) centre x, centre y, radius x, radius y, angle -> (..., 3, 3) symmetric Q, negative inside."""
    cx, cy, rx, ry, angle = ellipses.unbind(-1)
    cos, sin = angle.cos(), angle.sin()
    u = torch.stack((cos, sin, -(cos * cx + sin * cy)), -1) / rx[..., None]
    v = torch.stack((-sin, cos, sin * cx - cos * cy), -1) / ry[..., None]
    form = u[..., :, None] * u[..., None, :] + v[..., :, None] * v[..., None, :]
    return form - torch.diag(form.new_tensor((0.0, 0.0, 1.0)))


def similarity(tilt: Tensor, scale: Tensor, dx: Tensor, dy: Tensor) -> Tensor:
    """(B,) each -> (B, 3, 3), the map from the picture's coordinates back to those of the upright figure."""
    cos, sin, zero = tilt.cos() / scale, tilt.sin() / scale, torch.zeros_like(tilt)
    rows = (cos, sin, -(cos * dx + sin * dy), -sin, cos, sin * dx - cos * dy, zero, zero, zero + 1)
    return torch.unflatten(torch.stack(rows, -1), -1, (3, 3))


def monomials(rows: range, size: tuple[int, int], supersample: int, device: torch.device) -> tuple[Tensor, float]:
    """Monomials (6, s * s * R * W) of the sample points of some pixel rows, and the width of one sample.

    The shorter side of the picture spans [-1, 1]; x grows to the right and y downwards, pixels are areas. The s * s
    samples of a pixel lie in the leading axis, so that averaging over them is a sum of contiguous blocks.
    """
    height, width = size
    step = 2.0 / min(height, width)
    inner = (torch.arange(supersample, device=device, dtype=torch.float64) + 0.5) / supersample
    y = (torch.arange(rows.start, rows.stop, device=device) + inner[:, None] - height / 2) * step  # (s, R)
    x = (torch.arange(width, device=device) + inner[:, None] - width / 2) * step  # (s, W)
    shape = (supersample, supersample, len(rows), width)
    x = x[None, :, None, :].expand(shape).reshape(-1)
    y = y[:, None, :, None].expand(shape).reshape(-1)
    return torch.stack((x * x, x * y, y * y, x, y, torch.ones_like(x))).float(), step / supersample


def _coefficients(forms: Tensor) -> Tensor:
    """(..., 3, 3) -> (..., 6), in the order of ``monomials``."""
    pairs = ((0, 0), (0, 1), (1, 1), (0, 2), (1, 2), (2, 2))
    return torch.stack([forms[..., i, j] * (1 if i == j else 2) for i, j in pairs], -1)


def edges(forms: Tensor, soft: Tensor, width: float) -> tuple[Tensor, Tensor]:
    """What ``coverage`` needs of forms (B, K, 3, 3): coefficients (B, K, 6) of -f / edge width, and of |∇f|².

    ``soft`` (B, K) is the width over which an outline fades; a sample's own width is added to it in squares.
    """
    slope = 4 * forms[..., :2, :].mT @ forms[..., :2, :]
    fade = (soft * soft + width * width).sqrt()
    squared = _coefficients(slope)
    squared[..., -1] += 1e-8  # the gradient vanishes at the centre, where the distance is large and negative anyway
    return -_coefficients(forms) / fade[..., None], squared


def coverage(values: Tensor, slopes: Tensor, grid: Tensor) -> Tensor:
    """(B, K, 6) twice and (6, P) -> (B, K, P): the part of each sample's area that lies inside each ellipse."""
    batch = grid.expand(values.shape[0], -1, -1)
    # rounding must not make a squared length negative, hence the clamp
    distance = torch.bmm(slopes, batch).clamp_(min=1e-8).rsqrt_().mul_(torch.bmm(values, batch))
    return distance.add_(0.5).clamp_(0, 1)
