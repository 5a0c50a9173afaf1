"""Rendering of one radiance field, an MLP of 6 layers of 256: seconds for one view, with and without skipping.

    python benchmarks/fields.py [--size 128] [--samples 64] [--steps 300] [--threads 2] [--rounds 3] [--json]

First the MLP is fitted to views of one embedded car, so that there is empty space to skip and a truth to compare with.
Then all ways of rendering take turns at a view it has not seen:

    plain      every sample of every ray, by plain products and cumulated ones; what the rows below must agree with
    box        inrkit, rays that miss the box left out
    skipping   inrkit as it renders: samples that send hardly any light are taken from the occupancy grid
    in bf16    the same with matrix products in bf16

"asked" is the share of all samples for which the field was asked, those for the occupancy grid included.
"of matmul" is the rate of operations in matrix products for these, as a fraction of that of square products of the same
precision in this run. "PSNR" is against the exact picture, and "agrees" that against the plain one.
"""

import functools
from collections.abc import Callable
from typing import Any

import attrs
import torch
from measure import begin, in_turns, matmul_rates, options, report
from torch import Tensor
from torch.nn import functional as F

from inrkit import Field, make_heads
from inrkit.machine.precision import autocast, choose_precision
from inrkit_nerf.cameras import Cameras, orbit
from inrkit_nerf.embedded.cars import render_cars
from inrkit_nerf.march import MarchRays, colour_of, cross_box, density_of
from inrkit_nerf.mlp import MLP, MLPOptions
from inrkit_nerf.observation import Rays

BOX = ((-0.5, -0.25, -0.25), (0.5, 0.25, 0.25))
CAR, RADIUS = torch.tensor([3]), 1.13
VIEWS, FIT_SIZE, FIT_RAYS, FIT_SAMPLES = 16, 64, 64, 24
TOLERANCE = 1e-3


def ring(count: int, elevation: float, size: int) -> Cameras:
    """(1, count) cameras around the car."""
    cameras = orbit(count, RADIUS, elevation, size=(size, size), start=20)
    return Cameras(cameras.pose[None], cameras.intrinsics[None], cameras.size)


def pictured(cameras: Cameras) -> Tensor:
    """The car as these cameras see it, (1, 3, V, H, W) on [-1, 1]."""
    return render_cars(CAR, cameras, supersample=2).transpose(1, 2) * 2 - 1


def fitted(function: MLP, steps: int, device: torch.device | str = "cpu") -> dict[str, Tensor]:
    """Params of the car, by gradient descent on rays of some views."""
    heads = make_heads(function.param_shapes, function.head, 8, groups=1)
    made = {name: head(torch.randn(1, head.count, 8)).detach() for name, head in heads.items()}
    params = {name: value.to(device).requires_grad_() for name, value in made.items()}
    cameras, march = ring(VIEWS, 25, FIT_SIZE), MarchRays(*BOX, samples=FIT_SAMPLES)
    truth, cameras = pictured(cameras).flatten(3).to(device), cameras.to(device)  # (1, 3, V, H * W)
    hits = march.hits(Rays(cameras)).unflatten(1, (VIEWS, -1)).float()
    optimizer = torch.optim.Adam(params.values(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, total_iters=max(1, steps))
    for _ in range(steps):
        pixels = hits[0].multinomial(FIT_RAYS)[None]
        jitter = torch.rand(1, VIEWS * FIT_RAYS, FIT_SAMPLES, device=device)
        with autocast(choose_precision("auto", torch.device(device)), torch.device(device)):
            seen = march(function.bind(params), Rays(cameras, pixels, jitter))
        optimizer.zero_grad()
        F.mse_loss(seen, truth.gather(3, pixels[:, None].expand(-1, 3, -1, -1))).backward()
        optimizer.step()
        schedule.step()
    return {name: value.detach() for name, value in params.items()}


def plain(function: MLP, params: dict[str, Tensor], where: Rays, samples: int, *, rays: int = 1024) -> Tensor:
    """(3, R): the same mathematics without haste, some rays at a time, every sample of all of them."""
    low, high = torch.tensor(BOX[0]), torch.tensor(BOX[1])
    parts = []
    for start in range(0, where.count, rays):
        origins, directions = (x[0] for x in where.rays(start, min(start + rays, where.count)))
        enter, leave = cross_box(origins, directions, low, high)
        step = (leave - enter).clamp_min(0)[:, None] / samples
        distance = enter[:, None] + (torch.arange(samples) + 0.5) * step
        x = function.encoding((origins[:, None] + distance[..., None] * directions[:, None]) / high.max())
        for number, matrix in enumerate(params.values()):
            x = x if number == 0 else x.relu()
            x = torch.cat([x, torch.ones_like(x[..., :1])], -1) @ matrix[0]
        passed = torch.exp(-density_of(x[..., 0]) * step)
        light = torch.cat([torch.ones_like(passed[:, :1]), passed], 1).cumprod(1)
        weights = light[:, :-1] * (1 - passed)
        parts.append((weights[..., None] * colour_of(x[..., 1:])).sum(1) + light[:, -1:])
    return torch.cat(parts).T


@attrs.define
class Counted:
    """A field that counts the points it is asked for."""

    field: Field
    points: int = 0

    def __call__(self, coords: Tensor) -> Tensor:
        self.points += coords.shape[0] * coords.shape[1]
        return self.field(coords)


def psnr(a: Tensor, b: Tensor) -> float:
    return float(-10 * torch.log10((a.flatten() - b.flatten()).square().mean().clamp_min(1e-12) / 4))


@torch.no_grad()
def main(arguments: list[str] | None = None) -> None:
    parser = options(__doc__, rounds=3)
    parser.add_argument("--size", type=int, default=128, help="height and width of the view [%(default)s]")
    parser.add_argument("--samples", type=int, default=64, help="on each ray [%(default)s]")
    parser.add_argument("--steps", type=int, default=300, help="of fitting the field [%(default)s]")
    parser.add_argument("--width", type=int, default=256, help="of the MLP [%(default)s]")
    chosen = parser.parse_args(arguments)
    begin(chosen)
    torch.manual_seed(0)
    function = MLP.build(MLPOptions(width=chosen.width, octaves=5.0), axes=3, channels=4, size=())
    with torch.enable_grad():
        params = fitted(function, chosen.steps)
    where = Rays(ring(1, 35, chosen.size))
    ways = ways_of(function, params, where, chosen.samples)
    if "bf16" not in chosen.precision:
        ways = {name: way for name, way in ways.items() if "bf16" not in name}
    truth, reference = pictured(where.cameras), ways["plain"](function.bind(params))
    rates = matmul_rates(chosen.matmul, chosen.precision)
    fields = {name: Counted(function.bind(params)) for name in ways}
    pictures = {name: way(fields[name]) for name, way in ways.items()}
    worst = float((pictures["box"].flatten() - reference.flatten()).abs().max())
    assert worst < TOLERANCE, f"the view differs from the plain one by {worst}"
    seconds = in_turns(
        {name: functools.partial(way, function.bind(params)) for name, way in ways.items()}, chosen.rounds
    )
    work, whole = work_of(function), where.count * chosen.samples
    rows = list[dict[str, Any]]()
    for name, taken in seconds.items():
        points = fields[name].points or whole
        rows.append(
            {
                "way": name,
                "seconds": taken,
                "asked": points / whole,
                "of matmul": points * work / taken / rates["bf16" if "bf16" in name else "fp32"],
                "PSNR": f"{psnr(pictures[name], truth):.2f}",
                "agrees": f"{psnr(pictures[name], reference):.1f}",
                "x plain": seconds["plain"] / taken,
                "x box": seconds["box"] / taken,
            }
        )
    facts = {
        "threads": chosen.threads,
        "view": f"{chosen.size}x{chosen.size}x{chosen.samples}",
        "kFLOP/point": work / 1e3,
    }
    facts |= {f"matmul {name} GFLOP/s": rates[name] / 1e9 for name in rates}
    report("rendering of one radiance field", rows, facts, as_json=chosen.json)


def ways_of(
    function: MLP, params: dict[str, Tensor], where: Rays, samples: int
) -> dict[str, Callable[[Field], Tensor]]:
    """Name to what renders a field; the plain way knows its params itself."""
    box = MarchRays(*BOX, samples=samples, occupancy=0)
    skipping = MarchRays(*BOX, samples=samples)

    def in_bf16(march: MarchRays, field: Field) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return march(field, where)

    return {
        "plain": lambda field: plain(function, params, where, samples),
        "box": lambda field: box(field, where),
        "skipping": lambda field: skipping(field, where),
        "box in bf16": lambda field: in_bf16(box, field),
        "skipping in bf16": lambda field: in_bf16(skipping, field),
    }


def work_of(function: MLP) -> int:
    """Operations in the matrix products of one point; a multiplication and an addition are two."""
    return sum(2 * (rows - 1) * columns for rows, columns in function.param_shapes.values())


if __name__ == "__main__":
    main()
