"""Ray marching: from a radiance field to the colours that cameras see of it.

A field maps coordinates (B, P, 3), the box's longest reach being 1, to a raw density and raw colours (B, P, 4). Along
each ray the box is cut into ``samples`` intervals; nerfacc turns densities into weights.
"""

from collections.abc import Callable
from typing import Any, final

import attrs
import torch
from torch import Tensor
from torch.nn import functional as F

from inrkit import Field, Rendered, Transform
from inrkit_nerf.encoding import cone_variance
from inrkit_nerf.integrate import arriving, integrate, integrate_packed
from inrkit_nerf.observation import Rays
from inrkit_nerf.occupancy import Guess, Occupancy, occupancy_of
from inrkit_nerf.query import ELSEWHERE, IN_FLIGHT, beside, query
from inrkit_nerf.traverse import traversal_works, traverse

_HELD = {"cpu": 1 << 18}  # samples whose places are known at a time
_PER_CELL = 64  # samples for each cell of an occupancy grid, at least: what it may cost
_HARDLY = 0.1  # of a faint sample's light: it may be lost where nerfacc looks for samples
_SMALLEST = 12  # cells a side of an occupancy grid; a coarser one tells nothing
_DEPTH = 2  # further channels that are no answers of a field: distance, and 1, both summed up like colours
_CONE = 2 / 12**0.5  # radius of a pixel's cone at distance 1, in pixels over the focal length (mip-NeRF)


def density_of(raw: Tensor) -> Tensor:
    """softplus(raw - 3) * 20: at the start neither empty nor opaque, so that a field can learn to be either."""
    return F.softplus(raw.float() - 3) * 20


def colour_of(raw: Tensor) -> Tensor:
    """Colours on [-1, 1]: a sigmoid, as values are scaled. Further heads, such as one for the noise, have no bounds."""
    raw = raw.float()
    colours = torch.tanh(0.5 * raw[..., :3])
    return colours if raw.shape[-1] <= 3 else torch.cat([colours, raw[..., 3:]], -1)


@attrs.frozen(eq=False)
class Samples:
    """Intervals along rays: where they begin and end, (b, R, S) each, and the points at which the field is asked."""

    starts: Tensor
    ends: Tensor
    coords: Tensor  # (b, R, S, 3), or with variances (b, R, S, 6)

    @property
    def inside(self) -> Tensor:
        """Which of them lie in the box, (b, R, S)."""
        return self.ends > self.starts


@final
@attrs.frozen(eq=False)
class MarchRays(Transform):
    """Colours of rays, (B, 3, V, H, W) or (B, 3, V, P).

    Args:
        low, high: Corners of the box that holds every object; a field means nothing outside of it.
        near, far: No ray is followed outside of these distances from its camera.
        samples: Intervals on each ray; where jitter is given, it says how many.
        background: What shows behind the object, on [-1, 1].
        mip: Ask the field for cones instead of points: coordinates then carry variances.
        occupancy: Cells a side, at most, of the grid of each object that tells where nothing of it can be seen; 0 to
            ask everywhere. Used without gradients, and where it pays.
        faint: A sample that sends less than this share of a ray's light is taken from that grid.
        traversal: Let nerfacc's CUDA kernels find the samples in cells of that grid that are not empty.
        scale: A length as fields and cameras have it, over the same in the world, in which depths are told.
    """

    low: Tensor = attrs.field(converter=torch.tensor)
    high: Tensor = attrs.field(converter=torch.tensor)
    near: float = 0.0
    far: float = float("inf")
    samples: int = 64
    background: float = 1.0
    mip: bool = False
    occupancy: int = 32
    faint: float = 0.01
    traversal: bool = False
    scale: float = 1.0

    @property
    def reach(self) -> float:
        """The box's longest, from the origin."""
        return float(torch.maximum(self.low.abs(), self.high.abs()).max())

    def __call__(self, field: Field, where: Any) -> Tensor:
        return torch.unflatten(self._measured(field, where).mT, 2, where.shape)

    def with_depth(self, field: Field, where: Any) -> Rendered:
        """Colours, opacity, depth from the camera and normals: the density falls fastest in a normal's direction."""
        seen = self._measured(field, where, _DEPTH)
        colour, reached, opacity = seen.tensor_split([-2, -1], -1)
        solid = opacity > 0.5
        depth = torch.where(solid, reached / opacity.clamp_min(0.5), torch.inf)
        origins, directions = where.rays(0, where.count)
        normal = self._normals(field, origins + torch.where(solid, depth, 0) * directions) * solid
        parts = (colour, opacity, depth / self.scale, normal)
        return Rendered(*(torch.unflatten(x.mT, 2, where.shape) for x in parts))

    def _normals(self, field: Field, points: Tensor) -> Tensor:
        """Directions (B, P, 3) of length 1 in which the raw density falls, by differences over a hundredth of the box.

        Four of them, to the corners of a tetrahedron, are enough.
        """
        corners = points.new_tensor([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
        step = float((self.high - self.low).max()) / 100
        raw = self._at(field, lambda raw: raw[..., 0].float())
        return F.normalize(sum(-raw(points + step * corner)[..., None] * corner for corner in corners), dim=-1)

    def _measured(self, field: Field, rays: Rays, further: int = 0) -> Tensor:
        """(B, R, channels + further)"""
        if torch.is_grad_enabled() or rays.jitter is not None:  # training, of the student or of its teacher
            return self._all(field, rays, further)
        return self._by_chunks(field, rays, further)

    # ------------------------------------------------------------------------------------------ in training

    def _all(self, field: Field, rays: Rays, further: int) -> Tensor:
        """(B, R, channels + further), every sample at once."""
        found = self.place(rays, 0, rays.count)
        raw = field(found.coords.flatten(1, 2)).unflatten(1, found.coords.shape[1:3])
        return self._composed(found, raw, rays, further)

    # ------------------------------------------------------------------------------------------ afterwards

    def _by_chunks(self, field: Field, rays: Rays, further: int) -> Tensor:
        """(B, R, channels + further), some samples at a time; faint ones are guessed from the occupancy grid."""
        device = rays.cameras.pose.device
        nothing = field(torch.zeros(1, 1, 6 if self.mip else 3, device=device))
        side = min(self.occupancy, int((rays.count * self.samples / _PER_CELL) ** (1 / 3)))
        grid = self.grid(field, side, device) if side >= _SMALLEST else None
        solid = self._solid(grid) if grid is not None and self.traversal and traversal_works(device) else None
        colours = self._background(rays, nothing, further)[:, None].expand(len(nothing), rays.count, -1).contiguous()
        step = max(1, _HELD.get(device.type, ELSEWHERE) // (len(nothing) * self.samples))
        for start in range(0, rays.count, step):
            origins, directions = rays.rays(start, min(start + step, rays.count))
            enter, leave = self._within(origins, directions)
            met = (leave > enter).any(0).nonzero()[:, 0]
            if len(met):
                followed = [x.index_select(1, met) for x in (origins, directions, enter, leave)]
                if grid is not None and solid is not None:
                    seen = self._walked(field, followed, rays, grid, solid, further)
                else:
                    seen = self._seen(field, self._cut(rays, *followed), rays, grid, further, len(nothing))
                colours[:, met + start] = seen
        return colours

    def _seen(
        self, field: Field, found: Samples, rays: Rays, grid: Occupancy | None, further: int, objects: int
    ) -> Tensor:
        """Colours (B, R, channels + further) of some rays; the field is asked only where much light comes from."""
        inside = found.inside.expand(objects, -1, -1)
        if grid is None:
            raw = query(field, found.coords, inside)
        else:
            guess = grid.at(found.coords[..., :3])
            raw = query(field, found.coords, inside & self._matters(found, guess), guess.raw)
        return self._composed(found, raw, rays, further, inside)

    def _matters(self, found: Samples, guess: Guess) -> Tensor:
        """Which samples (B, R, S) may send more light than a faint one."""
        opacity = density_of(guess.least) * (found.ends - found.starts)
        return self._sends(found, guess, torch.exp(opacity - opacity.cumsum(-1)))

    def _sends(self, found: Samples, guess: Guess, light: Tensor) -> Tensor:
        """Which samples may send more than a faint one of the ``light`` that is left before them."""
        sent = light * -torch.expm1(-density_of(guess.most) * (found.ends - found.starts))
        return ~(sent <= self.faint)  # what is not a number should be seen

    def _solid(self, grid: Occupancy) -> Tensor:
        """Cells (B, N, N, N), the first axis being x; samples in all others hardly send light, and surely no more than
        faint ones."""
        length = float((self.high - self.low).norm()) / self.samples
        sent, most = (-torch.expm1(-density_of(raw) * length) for raw in grid.highest())
        return ~((sent <= self.faint * _HARDLY) & (most <= self.faint))

    def _walked(
        self, field: Field, followed: list[Tensor], rays: Rays, grid: Occupancy, solid: Tensor, further: int
    ) -> Tensor:
        """`_seen` by the samples in solid cells alone: nerfacc finds them, and sums them up, end to end.

        In between, those of each object are padded to the longest list among the objects, for so fields are asked.
        """
        objects, count = len(solid), followed[0].shape[1]
        origins, directions, enter, leave = (x.expand(objects, *x.shape[1:]) for x in followed)
        begin, end = ((origins + x[..., None] * directions) / self.reach for x in (enter, leave))
        ray, number = traverse(solid, grid.low, grid.high, begin, end, self.samples)
        place, longest = beside(ray // count, objects)
        at, edge, real = ray.new_zeros(3, objects, longest)
        for padded, values in ((at, ray % count), (edge, number), (real, 1)):
            padded[ray // count, place] = values
        first, length = enter.gather(1, at), (leave - enter).gather(1, at)
        starts, ends = (first + length * (x / self.samples) for x in (edge, edge + real))
        origins, directions = (x.gather(1, at[..., None].expand(-1, -1, 3)) for x in (origins, directions))
        middle = torch.full((1, 1, 1), 0.5, device=starts.device)
        found, inside = self._cut(rays, origins, directions, starts, ends, middle), real[..., None] > 0
        guess = grid.at(found.coords[..., :3])
        least, light = density_of(guess.least), torch.zeros_like(guess.least)
        light[inside] = arriving(found.starts[inside], found.ends[inside], least[inside], ray, enter.numel())
        raw = query(field, found.coords, inside & self._sends(found, guess, light), guess.raw)
        parts = [x[inside] for x in (found.starts, found.ends, *self._visible(found, raw, further))]
        return integrate_packed(parts, self._background(rays, raw, further), ray, enter.shape)

    def grid(self, field: Field, side: int, device: torch.device) -> Occupancy:
        """The occupancy grid of fields; with mip, a cell's middle stands for all of it."""
        low, high = (corner.to(device) / self.reach for corner in (self.low, self.high))
        spread = ((high - low) / side) ** 2 / 12

        def answers(coords: Tensor) -> Tensor:
            return field(torch.cat([coords, spread.expand_as(coords)], -1) if self.mip else coords)

        return occupancy_of(answers, low, high, side)

    def density(self, field: Field) -> Field:
        """The density (B, P) of a field at points (B or 1, P, 3) in the world."""
        return self._at(field, lambda raw: density_of(raw[..., 0]))

    def colours(self, field: Field) -> Field:
        """The first colours (B, P, 3) of a field at points (B or 1, P, 3) in the world."""
        return self._at(field, lambda raw: colour_of(raw[..., 1:4]))

    def _at(self, field: Field, part: Callable[[Tensor], Tensor]) -> Field:
        def at(points: Tensor) -> Tensor:
            coords = points / self.reach
            if self.mip:
                coords = torch.cat([coords, torch.zeros_like(coords)], -1)
            return torch.cat([part(field(some)) for some in coords.split(IN_FLIGHT["cpu"], dim=1)], 1)

        return at

    # ------------------------------------------------------------------------------------------ parts

    def place(self, rays: Rays, start: int, stop: int) -> Samples:
        """The intervals of some of the rays within the box."""
        origins, directions = rays.rays(start, stop)
        jitter = None if rays.jitter is None else rays.jitter[:, start:stop]
        return self._cut(rays, origins, directions, *self._within(origins, directions), jitter)

    def _cut(
        self,
        rays: Rays,
        origins: Tensor,
        directions: Tensor,
        enter: Tensor,
        leave: Tensor,
        jitter: Tensor | None = None,
    ) -> Samples:
        """The intervals of rays (b, R, 3) that are followed from where they enter to where they leave, (b, R) each."""
        samples = self.samples if jitter is None else jitter.shape[2]
        edges = torch.linspace(0, 1, samples + 1, device=origins.device)
        at = enter[..., None] + (leave - enter)[..., None] * edges
        starts, ends = at[..., :-1], at[..., 1:]
        middle = starts + (ends - starts) * (0.5 if jitter is None else jitter)
        variance: Tensor | None = None
        if self.mip:
            spread = (_CONE / rays.cameras.intrinsics[..., 0]).mean(-1, keepdim=True).expand(directions.shape[:2])
            middle, variance = cone_variance(directions, starts, ends, spread)
        origins, directions = (x[..., None, :] / self.reach for x in (origins, directions))
        coords = torch.addcmul(origins, middle[..., None], directions)
        return Samples(starts, ends, coords if variance is None else torch.cat([coords, variance / self.reach**2], -1))

    def hits(self, rays: Rays) -> Tensor:
        """Which rays meet the box at all, (B or 1, R)."""
        enter, leave = self._within(*rays.rays(0, rays.count))
        return leave > enter

    def _within(self, origins: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        """Where rays enter and leave the box between ``near`` and ``far``, (...) each; alike for those that miss it."""
        enter, leave = cross_box(
            origins, directions, *(corner.to(origins, non_blocking=True) for corner in (self.low, self.high))
        )
        enter = enter.clamp(self.near, self.far)
        return enter, torch.maximum(leave.clamp(self.near, self.far), enter)

    def _composed(self, found: Samples, raw: Tensor, rays: Rays, further: int, active: Tensor | None = None) -> Tensor:
        density, colours = self._visible(found, raw, further)
        return integrate(found.starts, found.ends, density, colours, self._background(rays, raw, further), active)

    def _visible(self, found: Samples, raw: Tensor, further: int) -> tuple[Tensor, Tensor]:
        """Densities, and what is summed up along rays: colours, and for depths the distance and 1."""
        density, colours = density_of(raw[..., 0]), colour_of(raw[..., 1:])
        if further == _DEPTH:
            middle = ((found.starts + found.ends) / 2).expand(density.shape)
            colours = torch.cat([colours, torch.stack([middle, torch.ones_like(middle)], -1)], -1)
        return density, colours

    def _background(self, rays: Rays, raw: Tensor, further: int) -> Tensor:
        """What shows behind objects, (B or 1, channels + further); behind them further heads show nothing."""
        background = rays.background
        if background is None:
            background = torch.full((1, 3), self.background, device=raw.device)
        return F.pad(background, (0, raw.shape[-1] - 1 + further - background.shape[-1]))


def cross_box(origins: Tensor, directions: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Where rays enter and leave a box, (...) each; ``leave`` <= ``enter`` for those that miss it."""
    # a ray along a side of the box is taken as just off it
    safe = torch.where(directions.abs() < 1e-9, torch.full_like(directions, 1e-9), directions)
    a, b = (low - origins) / safe, (high - origins) / safe
    return torch.minimum(a, b).amax(-1), torch.maximum(a, b).amin(-1)
