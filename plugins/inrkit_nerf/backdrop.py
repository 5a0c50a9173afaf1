"""What pictures show behind their objects."""

from typing import Literal

import numpy as np

Backdrop = Literal["transparent", "white", "black", "other"]

_WHITE, _BLACK = 250, 10  # levels from and up to which pixels are taken as such
_ENOUGH = 0.25  # share of the border, at least, that shows what is behind the objects


def backdrop_of(images: np.ndarray) -> Backdrop:
    """By the borders of pictures (..., H, W, 3 or 4) of 8 bits, where objects seldom reach."""
    if images.shape[-1] == 4:
        return "transparent"
    rows, columns = images[..., (0, -1), :, :].reshape(-1, 3), images[..., 1:-1, (0, -1), :].reshape(-1, 3)
    border = np.concatenate([rows, columns])
    white, black = float((border.min(1) >= _WHITE).mean()), float((border.max(1) <= _BLACK).mean())
    if max(white, black) < _ENOUGH:
        return "other"
    return "white" if white >= black else "black"


def foreground(images: np.ndarray, backdrop: Backdrop) -> np.ndarray:
    """Which pixels (..., H, W) show an object: what is not fully transparent, or else not the colour behind."""
    if images.shape[-1] == 4:
        return np.asarray(images[..., 3] > 2)
    return np.asarray(images.max(-1) > _BLACK if backdrop == "black" else images.min(-1) < _WHITE)
