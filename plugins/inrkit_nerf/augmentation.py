"""Data augmentation for objects, in all views of an object alike."""

import torch
from torch import Tensor

from inrkit import Draws

ORDERS = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))


def recoloured(images: Tensor, draws: Draws) -> Tensor:
    """Views (B, V, C, H, W) whose first three channels change places, for each object at random; grey stays grey."""
    orders = torch.tensor(ORDERS, device=images.device)
    order = orders[(draws.uniform() * len(orders)).long()][:, None, :, None, None]
    colours = images[:, :, :3]
    return torch.cat([colours.gather(2, order.expand_as(colours)), images[:, :, 3:]], 2)
