"""What views show at places of the world, as in pixelNeRF (arXiv:2012.02190), but pixels in place of features."""

from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inrkit import Observation
from inrkit_nerf.cameras import project
from inrkit_nerf.observation import Rays


@final
class Unprojection(nn.Module):
    """For each INR token, the colours that every view has where the token's places are seen, mapped to its width.

    Whether something stands in between, the transformer has to find out; of several views the tokens take the mean.

    Args:
        points: Places in the world as a model sees it, (tokens, places, 3).
        dim: Width of the tokens.
    """

    points: Tensor

    def __init__(self, points: Tensor, dim: int) -> None:
        super().__init__()
        self.register_buffer("points", points.flatten(0, 1), persistent=False)
        self.count = len(points)
        self.embed = nn.Linear(3 * points.shape[1], dim)

    def forward(self, observation: Observation) -> Tensor:
        where: Rays = observation.where
        values = observation.values  # (B, 3, V, H, W)
        rows, _, views, height, width = values.shape
        positions, depth = project(where.cameras, self.points)
        shares = positions / positions.new_tensor((width, height)) * 2 - 1  # (B or 1, V, places, 2)
        shares = shares.where(depth[..., None] > 0, -1.0)  # behind a camera is not seen: some colour of its border
        images = values.float().transpose(1, 2).flatten(0, 1)
        shares = shares.expand(rows, -1, -1, -1).flatten(0, 1)[:, None]
        colours = F.grid_sample(images, shares, "bilinear", "border", align_corners=False)[:, :, 0]
        told: Tensor = self.embed(colours.unflatten(2, (self.count, -1)).transpose(1, 2).flatten(2))
        return torch.unflatten(told, 0, (rows, views)).mean(1)
