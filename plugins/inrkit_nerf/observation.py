"""What is measured of an object: the colours of rays of some cameras."""

import math
from collections.abc import Callable
from typing import final

import attrs
import torch
from torch import Tensor

from inrkit import Draws, Observation
from inrkit_nerf.cameras import Cameras, pixel_positions, rays_at


@final
@attrs.frozen(eq=False)
class Rays:
    """Rays through pixels of cameras: the place where a radiance field is measured.

    Args:
        cameras: (B, V), or (1, V) for all objects.
        pixels: Numbers of pixels, row by row, (B, V, P); None for whole images.
        jitter: Where in its interval each sample lies, from 0 to 1, (B, V * P, samples); None for the middle.
        background: What shows behind the object, values on [-1, 1], (B, 3); None for the transform's own.
    """

    cameras: Cameras
    pixels: Tensor | None = None
    jitter: Tensor | None = None
    background: Tensor | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """How the values of an object's rays are laid out: (V, H, W), or (V, P)."""
        return self.cameras.shape[1], *(self.cameras.size if self.pixels is None else self.pixels.shape[2:])

    @property
    def count(self) -> int:
        """Rays of each object."""
        return math.prod(self.shape)

    def rays(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Origins and directions (B or 1, stop - start, 3), of length 1, of the rays with these numbers."""
        number = torch.arange(start, stop, device=self.cameras.pose.device)
        each = self.count // self.cameras.shape[1]
        view, pixel = number // each, number % each
        pixel = pixel[None] if self.pixels is None else self.pixels.flatten(1)[:, start:stop]
        cameras = self.cameras[:, view]  # one camera for each ray
        if pixel.shape[0] > cameras.pose.shape[0]:
            cameras = cameras.map(lambda x: x.expand(len(pixel), *x.shape[1:]))
        positions = pixel_positions(self.cameras.size, pixel)
        origins, directions = rays_at(cameras, positions.expand(*cameras.shape, 2)[..., None, :])
        return origins[..., 0, :], directions[..., 0, :]

    def rows(self, index: Tensor | slice) -> "Rays":
        """The rays of some objects."""
        shared = len(self.cameras.pose) == 1
        return self._changed(self.cameras if shared else self.cameras[index], lambda x: x[index])

    def to(self, device: torch.device | str) -> "Rays":
        return self._changed(self.cameras.to(device), lambda x: x.to(device))

    def _changed(self, cameras: Cameras, change: Callable[[Tensor], Tensor]) -> "Rays":
        return Rays(cameras, *(x if x is None else change(x) for x in (self.pixels, self.jitter, self.background)))


@final
@attrs.frozen(eq=False)
class ViewObservation(Observation):
    """Colours of rays: (B, 3, V, H, W) for whole views, (B, 3, V, P) for some of their pixels.

    Args:
        shared_noise: Whether a query sees the noise of our first view at the same pixels; otherwise noise of its own.
    """

    where: Rays
    shared_noise: bool = True

    def share_noise(self, noise: Tensor, query: Observation, draws: Draws) -> Tensor:
        """The literal reading of the paper: one noise image for a signal, whichever way the camera looks."""
        if query.where is self.where:
            return noise
        if not self.shared_noise:
            return draws.fork("query noise").normal(*query.values.shape[1:]).to(noise)
        first = noise[:, :, 0]  # (B, 3, H, W)
        if query.where.pixels is None:
            if first.shape[2:] != query.values.shape[3:]:
                first = torch.nn.functional.interpolate(first, query.values.shape[3:], mode="nearest")
            return first[:, :, None].expand_as(query.values)
        index = query.where.pixels.flatten(1)[:, None].expand(-1, noise.shape[1], -1)
        return first.flatten(2).gather(2, index).reshape(query.values.shape)
