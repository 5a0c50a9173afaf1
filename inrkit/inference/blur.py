"""What a blur leaves of signals on two axes, by kornia's kernels."""

import math
from collections.abc import Callable

from torch import Tensor

from inrkit.core.edit.operator import Measured
from inrkit.errors import UsageError

BLURS = ("gaussian", "motion", "box")
_SIGMAS = 3.0  # where a Gaussian is cut off
_DAMPING = 1e-3  # of what signals of 8 bits know too little
_ROUNDS = 40


def blur_of(kind: str, radius: float, angle: float, shape: tuple[int, ...], cells: float = 1.0) -> Measured:
    """The blur as an operator on values (C, H, W), on a grid with so many ``cells`` to one that the radius counts."""
    if len(shape) != 3:
        raise UsageError(f"'deblur' is for signals on two axes, such as pictures (got {len(shape) - 1})")
    return Measured(blur(kind, radius * cells, angle), shape, rounds=_ROUNDS, damping=_DAMPING)


def blur(kind: str, radius: float, angle: float = 0.0) -> Callable[[Tensor], Tensor]:
    """A linear blur of values (B, C, H, W), mirrored at the border.

    Args:
        kind: gaussian, of standard deviation ``radius``; motion, along a line of so many cells to either side; or box,
            the mean of a square that reaches so far.
        angle: Of the line, in degrees from the horizontal.
    """
    if not (math.isfinite(radius) and radius > 0):
        raise UsageError(f"'--radius' must be > 0, in cells (got {radius:g})")
    from kornia.filters import filter2d, get_box_kernel2d, get_gaussian_kernel2d, get_motion_kernel2d

    side = 2 * math.ceil(radius * (_SIGMAS if kind == "gaussian" else 1)) + 1
    if kind == "gaussian":
        kernel = get_gaussian_kernel2d(side, (radius, radius))
    else:
        kernel = get_box_kernel2d(side) if kind == "box" else get_motion_kernel2d(side, angle, 0.0, mode="bilinear")

    def blurred(values: Tensor) -> Tensor:
        if min(values.shape[2:]) <= side // 2:
            raise UsageError(f"'--radius' must be less for signals of {tuple(values.shape[2:])} (got {radius:g})")
        found: Tensor = filter2d(values, kernel.to(values), border_type="reflect")
        return found

    return blurred
