"""Views to tokens: patches of colours and of the rays that they were seen along."""

from typing import final

import torch
from torch import Tensor, nn

from inrkit import Observation, Tokenizer, UsageError, full_precision, patchify
from inrkit_nerf.observation import Rays


@final
class RayTokenizer(Tokenizer):
    """One token for each patch of each view: colour and ray of every pixel. More views are simply more tokens.

    The rays say where a patch is and whence it is seen, so that no position is learned.

    Args:
        patch: Side of the patches.
        dim: Width of the tokens.
        plucker: Describe a ray by its direction and its moment (origin x direction), which do not depend on where on
            the ray the camera stands, instead of by origin and direction.
    """

    def __init__(self, patch: int, dim: int, *, plucker: bool = False) -> None:
        super().__init__()
        self.patch, self.plucker = patch, plucker
        self.embed = nn.Linear(9 * patch * patch, dim)

    def forward(self, observation: Observation) -> Tensor:
        where: Rays = observation.where
        height, width = where.cameras.size
        if where.pixels is not None or height % self.patch or width % self.patch:
            raise UsageError(
                f"the network reads whole views whose sides are multiples of {self.patch} (got {width} x {height})"
            )
        values = observation.values
        origins, directions = where.rays(0, where.count)
        first = torch.linalg.cross(origins, directions, dim=-1) if self.plucker else origins
        rays = torch.cat([first, directions], -1).mT.unflatten(2, where.shape).expand(values.shape[0], -1, -1, -1, -1)
        pixels = torch.cat([values, rays.to(values)], 1)  # (B, 9, V, H, W)
        with full_precision(pixels.device):
            tokens: Tensor = self.embed(patchify(pixels.float(), (1, self.patch, self.patch)))
        return tokens
