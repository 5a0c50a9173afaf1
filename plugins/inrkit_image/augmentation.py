"""Data augmentation of pictures, by kornia; on values (B, C, H, W) in [-1, 1]."""

import math
from typing import final

import attrs
import torch
from torch import Tensor

from inrkit import Augmentation, Draws


def _between(draws: Draws, most: float) -> Tensor:
    """Uniform in [-most, most), (B,)."""
    return (2 * draws.uniform() - 1) * most


@final
@attrs.frozen
class Warp(Augmentation):
    """Scaled and rotated about the centre; what comes in from outside is the picture, mirrored.

    Args:
        scale: Factors are between 1/scale and scale.
        angle: Rotations are by up to so many degrees, either way.
    """

    scale: float
    angle: float

    labels = 3

    def draw(self, values: Tensor, draws: Draws) -> Tensor:
        angle = _between(draws, math.radians(self.angle))
        return torch.stack([_between(draws, math.log2(self.scale)), angle.cos() - 1, angle.sin()], 1)

    def apply(self, values: Tensor, amounts: Tensor) -> Tensor:
        from kornia.geometry.transform import get_affine_matrix2d, warp_affine

        height, width = values.shape[2:]
        log_scale, cos_1, sin = amounts.float().unbind(1)
        centre = torch.stack([torch.full_like(sin, (n - 1) / 2) for n in (width, height)], 1)  # made on the device
        matrix = get_affine_matrix2d(
            torch.zeros_like(centre),
            centre,
            torch.exp2(log_scale)[:, None].expand(-1, 2),
            torch.atan2(sin, cos_1 + 1).rad2deg(),
        )
        warped = warp_affine(values, matrix[:, :2], (height, width), mode="bicubic", padding_mode="reflection")
        changed = (amounts != 0).any(1)[:, None, None, None]
        return torch.where(changed, warped.clamp(-1, 1), values)


@final
@attrs.frozen
class Colour(Augmentation):
    """Brightness and contrast, and of coloured pictures saturation and hue.

    Args:
        strength: s: brightness by up to s/2 of its range, contrast and saturation by factors of up to 2^s, hue by up to
            s/2 of half a turn.
        channels: Of the pictures; three are red, green and blue.
    """

    strength: float
    channels: int

    @property
    def labels(self) -> int:
        return 4 if self.channels == 3 else 2

    def draw(self, values: Tensor, draws: Draws) -> Tensor:
        return torch.stack([_between(draws, self.strength) for _ in range(self.labels)], 1)

    def apply(self, values: Tensor, amounts: Tensor) -> Tensor:
        from kornia.enhance import (
            adjust_brightness,
            adjust_contrast_with_mean_subtraction,
            adjust_hue,
            adjust_saturation_with_gray_subtraction,
        )

        by = amounts.to(values).unbind(1)
        pictures: Tensor = adjust_brightness((values + 1) / 2, by[0] / 2)
        pictures = adjust_contrast_with_mean_subtraction(pictures, torch.exp2(by[1]))
        if self.labels == 4:
            pictures = adjust_saturation_with_gray_subtraction(pictures, torch.exp2(by[2]))
            pictures = adjust_hue(pictures, by[3] * (math.pi / 2))
        return torch.where((amounts != 0).any(1)[:, None, None, None], 2 * pictures - 1, values)


@final
@attrs.frozen
class Cutout(Augmentation):
    """A grey rectangle, in the picture's proportions, of up to a share of its sides (arXiv:1708.04552)."""

    most: float

    labels = 3

    def draw(self, values: Tensor, draws: Draws) -> Tensor:
        return torch.stack([draws.uniform() * self.most, _between(draws, 1.0), _between(draws, 1.0)], 1)

    def apply(self, values: Tensor, amounts: Tensor) -> Tensor:
        from kornia.geometry.bbox import bbox_generator, bbox_to_mask

        height, width = values.shape[2:]
        size, x, y = amounts.float().unbind(1)
        sides = [(size * n).round() for n in (width, height)]
        starts = [
            ((1 + at) / 2 * (n - n_box)).round() for at, n, n_box in zip((x, y), (width, height), sides, strict=True)
        ]
        hole = bbox_to_mask(bbox_generator(*starts, *sides), width, height)
        return values * (1 - hole)[:, None].to(values)
