"""The embedded data set: cars of ten kinds, exact from every side, with cameras as SRN's renderings have them.

A car is a solid of convex pieces that a seed picks, with its nose towards +x, z up, its bounding box centred and of
diagonal 1. The background is white; light comes from fixed directions and nothing depends on the point of view.

    images = render_cars(torch.arange(4), orbit(8, 1.13, 25, size=(64, 64)))  # (4, 8, 3, 64, 64) in [0, 1]

Rays meet the pieces exactly, so that a picture at any resolution and from any side has a truth to be compared with.
"""

import typing
from collections.abc import Sequence

import torch
from torch import Tensor

from inrkit import Dice, Kept, UsageError
from inrkit_nerf.backdrop import Backdrop
from inrkit_nerf.cameras import SRN_FOCAL, Cameras, directions_at, inward, on_sphere, pixel_positions, spiral
from inrkit_nerf.embedded.blueprint import Blueprint, draw_blueprint
from inrkit_nerf.embedded.paint import materials, paint
from inrkit_nerf.embedded.polyhedra import Pieces, cast, faces
from inrkit_nerf.embedded.shape import scale_of, shape, to_metres
from inrkit_nerf.views import Views

# Seeds of a split start here and are consecutive, so that splits share no car.
SPLITS = {"train": 0, "test": 1 << 40}

RADIUS = 1.13
"""How far from the centre cameras stand: nearer than SRN's 1.3, so that a third more of the pixels show the car."""

BOX = ((-0.47, -0.28, -0.23), (0.47, 0.28, 0.23))
"""Lower and upper corner of a box that holds every car."""

# Rays painted together.
_RAYS = 1 << 17


def render_cars(seeds: Tensor, cameras: Cameras, *, supersample: int = 1, pixels: Tensor | None = None) -> Tensor:
    """Cars (B,) seen by cameras (B, V) or (V,) -> (B, V, 3, H, W) float32 in [0, 1], on the device of ``seeds``.

    A pure function of each seed and camera. Each pixel is the mean of ``supersample`` squared rays through its area.
    ``pixels`` (B, V, P), or (P,) for all, asks for some pixels only, numbered row by row -> (B, V, 3, P).
    """
    if supersample < 1:
        raise UsageError(f"'supersample' must be at least 1 (got {supersample})")
    count = len(seeds)
    if cameras.pose.ndim == 3:
        cameras = cameras.map(lambda x: x.expand(count, *x.shape))
    if cameras.shape[0] != count:
        raise UsageError(f"expected cameras (B, V) for {count} cars, found {tuple(cameras.shape)}")
    views = cameras.shape[1]
    flat = cameras.to(seeds.device).map(lambda x: x.flatten(0, 1))
    positions = _spread(pixel_positions(cameras.size, pixels).to(seeds.device), supersample)  # ([B, V,] P', 2)
    positions = positions.expand(len(flat.pose), -1, -1) if positions.ndim == 2 else positions.flatten(0, 1)
    out = torch.empty(count * views, 3, positions.shape[-2] // supersample**2, device=seeds.device)
    blueprint = draw_blueprint(seeds)
    pieces = shape(blueprint)
    row = torch.arange(count, device=seeds.device).repeat_interleave(views)
    step = max(1, _RAYS // positions.shape[-2])
    for start in range(0, count * views, step):
        block = slice(start, start + step)
        directions = directions_at(flat[block], positions[block])
        colours = _seen(blueprint, pieces, row[block], flat.pose[block], directions)
        out[block] = colours.unflatten(1, (supersample**2, -1)).mean(1).mT
    out = torch.unflatten(out, 0, (count, views))
    return out if pixels is not None else torch.unflatten(out, -1, cameras.size)


def _seen(blueprint: Blueprint, pieces: Pieces, row: Tensor, pose: Tensor, directions: Tensor) -> Tensor:
    """Colours (b, N, 3) where camera ``pose`` (b, 4, 4) looks at car ``row`` (b,) along directions (b, N, 3)."""
    inverse, number = cast(pieces.rows(row), pose, directions)
    colours = torch.ones_like(directions)
    view, ray = torch.nonzero(inverse > 0, as_tuple=True)
    if not len(view):
        return colours
    local = directions[view, ray] / inverse[view, ray][:, None]
    points = (pose[view, :3, :3] @ local[..., None]).squeeze(-1) + pose[view, :3, 3]
    car, number = row[view], number[view, ray]
    face, normal, heights = faces(pieces, car, number, points)
    scale, columns = scale_of(blueprint.measures)[car], torch.stack(list(blueprint.measures.values()), -1)[car]
    measures = dict(zip(blueprint.measures, columns.unbind(-1), strict=True))
    metres = to_metres(points, scale, measures["top"])
    material = materials(number, face, heights / scale[:, None], metres, measures)
    colours[view, ray] = paint(blueprint.colours[car], material, normal)
    return colours


def _spread(positions: Tensor, supersample: int) -> Tensor:
    """Positions (..., P, 2) of pixels' centres -> (..., s * s * P, 2), a grid within each pixel, pixels last."""
    inner = (torch.arange(supersample, device=positions.device) + 0.5) / supersample - 0.5
    offsets = torch.cartesian_prod(inner, inner)
    return (positions[..., None, :, :] + offsets[:, None, :]).flatten(-3, -2)


def occupied(seeds: Tensor, points: Tensor) -> Tensor:
    """Points (B, P, 3), around the origin as the cars are rendered -> (B, P) bool: inside car (B,)."""
    return shape(draw_blueprint(seeds)).contain(points)


@typing.final
class Cars(Views):
    """``count`` cars of a split; views are rendered when asked for, and kept while 256 MB hold them.

    The splits have no car in common.

    Training views stand anywhere over the ground, as a function of car and view; test views wind down a fixed spiral.
    """

    def __init__(self, split: str, count: int, size: tuple[int, int], views: int, *, supersample: int = 2) -> None:
        self.split, self.count, self.size, self.view_count = split, count, (size[0], size[1]), views
        self.supersample = supersample
        self._drawn = Kept[tuple[int, int]](self._draw)

    def __len__(self) -> int:
        return self.count

    def cameras(self, numbers: Tensor, views: Tensor) -> Cameras:
        if self.split == "test":
            return spiral(self.view_count, RADIUS, size=self.size)[views]
        dice = Dice((numbers + SPLITS[self.split])[:, None], views)
        # uniform on the sphere above the ground; straight above, the picture's upright would be undefined
        azimuth, height = dice.uniform(0, 2 * torch.pi), dice.uniform(0.02, 0.98)
        return inward(on_sphere(azimuth, height, RADIUS), self.size)

    def images(self, numbers: Tensor, views: Tensor) -> Tensor:
        keys = list(zip(numbers.repeat_interleave(views.shape[1]).tolist(), views.flatten().tolist(), strict=True))
        return torch.unflatten(self._drawn(keys), 0, views.shape)

    def _draw(self, keys: Sequence[tuple[int, int]]) -> Tensor:
        """(M, 3, H, W) uint8 of these cars and views."""
        car, view = torch.tensor(keys).unbind(1)
        cameras = self.cameras(car, view[:, None])
        drawn = render_cars(car + SPLITS[self.split], cameras, supersample=self.supersample)
        return (drawn[:, 0] * 255).round().to(torch.uint8)

    def truth(self, numbers: Tensor, cameras: Cameras) -> Tensor:
        """The same cars seen by any cameras (B or 1, V)."""
        cameras = cameras[0] if len(cameras.pose) == 1 else cameras
        return render_cars(numbers + SPLITS[self.split], cameras, supersample=self.supersample)

    @property
    def backdrop(self) -> Backdrop:
        return "white"

    @property
    def facts(self) -> dict[str, object]:
        box = [list(corner) for corner in BOX]
        camera = {"radius": RADIUS, "focal": SRN_FOCAL, "target": (0.0, 0.0, 0.0)}
        return {"title": "procedural cars", "channels": 3, "box": box, **camera}
