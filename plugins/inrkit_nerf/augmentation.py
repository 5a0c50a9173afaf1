"""Data augmentation for objects: colours, mirror images and proportions, in all views of an object alike.

What is done to an object is done to pictures and cameras, so that they still fit each other: an object that is made
narrower is seen by cameras that are made narrower with it, and shows the same pictures.
"""

from collections.abc import Sequence
from typing import final

import attrs
import torch
from torch import Tensor

from inrkit import Draws
from inrkit_nerf.cameras import Cameras

_ORDERS = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))


@final
@attrs.frozen
class Augmentation:
    """Changes of training objects, drawn for each anew.

    Args:
        recolour: Put the colour channels in a random order.
        mirror: Half of the objects are mirrored along this axis of the world; none: no object.
        stretch: An object becomes longer or shorter along each axis, by up to this share of it.
    """

    recolour: bool = False
    mirror: str = "none"
    stretch: float = 0.0

    def __call__(self, images: Tensor, cameras: Cameras, draws: Draws) -> tuple[Tensor, Cameras]:
        """Images (B, V, C, H, W) and the cameras (B, V) that took them, the middle of the world being the origin."""
        if self.recolour:
            orders = torch.tensor(_ORDERS, device=images.device)
            order = orders[(draws.uniform() * len(orders)).long()][:, None, :, None, None]
            colours = images[:, :, :3]
            images = torch.cat([colours.gather(2, order.expand_as(colours)), images[:, :, 3:]], 2)
        if self.mirror != "none":
            images, cameras = self._mirrored(images, cameras, draws.uniform() < 0.5)
        if self.stretch:
            factors = 1 + self.stretch * (2 * draws.uniform(3) - 1)
            cameras = attrs.evolve(cameras, pose=_scaled(cameras.pose, factors))
        return images, cameras

    def _mirrored(self, images: Tensor, cameras: Cameras, rows: Tensor) -> tuple[Tensor, Cameras]:
        """Pictures from left to right, and cameras on the other side: their x axis is turned, so they stay rigid."""
        axis, pose, intrinsics = "xyz".index(self.mirror), cameras.pose, cameras.intrinsics
        sides = torch.ones(3, device=pose.device)
        sides[axis] = -1
        other = _scaled(pose, sides.expand(len(pose), 3))
        other[..., :3, 0] *= -1
        center = intrinsics.clone()
        center[..., 2] = cameras.size[1] - center[..., 2]
        images = torch.where(rows[:, None, None, None, None], images.flip(-1), images)
        pose = torch.where(rows[:, None, None, None], other, pose)
        return images, Cameras(pose, torch.where(rows[:, None, None], center, intrinsics), cameras.size)


def _scaled(pose: Tensor, factors: Tensor) -> Tensor:
    """Poses (B, V, 4, 4) in a world that is scaled by factors (B, 3)."""
    return torch.cat([pose[..., :3, :] * factors[:, None, :, None], pose[..., 3:, :]], -2)


def grown(box: Sequence[Sequence[float]], share: float) -> tuple[float, ...]:
    """A box, its lower and then its upper corner, that holds what `Augmentation` may make of the objects within it."""
    sides = [((a + b) / 2, (b - a) / 2 * (1 + share)) for a, b in zip(*box, strict=True)]
    return (*(middle - half for middle, half in sides), *(middle + half for middle, half in sides))
