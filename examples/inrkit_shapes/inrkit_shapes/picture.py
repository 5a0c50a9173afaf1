"""Solids as somebody sees them: from a corner above, lit from beside the viewer, on white."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

SIDE = 80
_AZIMUTH, _ELEVATION = math.radians(35), math.radians(25)
_STEPS = 56
_ACROSS = 1.0  # half of the view's width; a solid of diagonal 1 just fits


def views(values: Tensor, side: int = SIDE) -> Tensor:
    """Pictures (B, 3, side, side) in [0, 1] of values (B, 1, X, Y, Z) > 0 inside, along parallel rays."""
    forward, right, up = _axes(values.device)
    across = torch.linspace(-_ACROSS, _ACROSS, side, device=values.device)
    start = across[None, :, None] * right - across[:, None, None] * up  # (side, side, 3)
    depth = torch.linspace(-_ACROSS, _ACROSS, _STEPS, device=values.device)
    path = (start + depth[:, None, None, None] * forward)[None]  # (1, _STEPS, side, side, 3)
    shown = [_shaded(_first(row[None], path, start, forward), row[None], forward, right, up) for row in values.float()]
    return torch.stack(shown)


def _first(solid: Tensor, path: Tensor, start: Tensor, forward: Tensor) -> Tensor:
    """Where each ray enters the solid, (side, side, 3); not a number where it never does."""
    along = _at(solid, path)[0, 0]  # (_STEPS, side, side)
    inside = along > 0
    number = inside.to(torch.uint8).argmax(0).clamp_min(1)
    after = along.gather(0, number[None])[0]
    before = along.gather(0, number[None] - 1)[0]
    share = (before / (before - after)).nan_to_num().clamp(0, 1)
    depth = (number - 1 + share) * (2 * _ACROSS / (_STEPS - 1)) - _ACROSS
    hit = start + depth[..., None] * forward
    return torch.where(inside.any(0)[..., None], hit, torch.nan)


def _shaded(hit: Tensor, solid: Tensor, forward: Tensor, right: Tensor, up: Tensor) -> Tensor:
    """Colours (3, side, side): diffuse light, a little darker with the distance."""
    known = hit.nan_to_num()
    step = 1.5 / max(solid.shape[2:])
    around = torch.stack([known + s * step * axis for axis in torch.eye(3, device=hit.device) for s in (1, -1)])
    ahead = _at(solid, around[None])[0, 0]  # (6, side, side)
    normal = F.normalize(ahead[1::2] - ahead[::2], dim=0)  # towards lower values: outwards
    light = F.normalize(0.5 * up - forward - 0.4 * right, dim=0)
    diffuse = (normal * light[:, None, None]).sum(0).clamp(0, 1)
    fog = 1 - 0.15 * (known @ forward)
    tint = torch.tensor([0.55, 0.72, 0.92], device=hit.device)[:, None, None]
    colours = (tint * (0.3 + 0.7 * diffuse) * fog).clamp(0, 1)
    return torch.where(hit.isnan().any(-1), torch.ones_like(colours), colours)


def _at(solid: Tensor, places: Tensor) -> Tensor:
    """Values (1, 1, D, H, W) at places (1, D, H, W, 3) of a solid (1, 1, X, Y, Z), and 0 beyond: nothing is there."""
    return F.grid_sample(solid, places.flip(-1), mode="bilinear", padding_mode="zeros", align_corners=False)


def _axes(device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Forward, right and up of the viewer."""
    a, e = _AZIMUTH, _ELEVATION
    forward = -torch.tensor([math.cos(e) * math.cos(a), math.cos(e) * math.sin(a), math.sin(e)], device=device)
    right = torch.tensor([-math.sin(a), math.cos(a), 0.0], device=device)
    return forward, right, torch.linalg.cross(right, forward)
