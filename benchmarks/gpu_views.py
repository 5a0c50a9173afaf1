"""Rendering of one radiance field on a GPU: 251 views of 128 x 128, 64 samples on a ray, an MLP of 6 layers of 256.

    python benchmarks/gpu_views.py [--device auto] [--smoke] [--json]

The MLP is fitted to views of one embedded car as in fields.py; the views are those of SRN's test sets, a spiral around
it. "box" asks the field at every sample in the box, "skipping" is how the program renders, "traversal" how it does with
`options.traversal`, where nerfacc's kernels compute. "PSNR" is against the exact pictures of eight of the views,
"agrees" that of one way against another in fp32.
"""

import argparse
import functools
from typing import Any

import torch
from accelerator import FORMATS, Rows, formats_on, median_seconds, product_rates, run
from fields import BOX, RADIUS, Counted, fitted, pictured, psnr, work_of
from torch import Tensor

from inrkit.drawing.sheet import save_png, sheet
from inrkit.machine.memory import forget_peak, peak_memory
from inrkit.machine.precision import autocast
from inrkit_nerf.cameras import Cameras, spiral
from inrkit_nerf.integrate import packed_works
from inrkit_nerf.march import MarchRays
from inrkit_nerf.mlp import MLP, MLPOptions
from inrkit_nerf.observation import Rays
from inrkit_nerf.traverse import traversal_works

VIEWS, SIZE, SAMPLES = 251, 128, 64
SMALL = 3, 16, 8
SHOWN = 8


def main(arguments: list[str] | None = None) -> None:
    run(__doc__, measure, arguments)


def measure(chosen: argparse.Namespace, device: torch.device, rows: Rows) -> None:
    torch.manual_seed(0)
    views, size, samples = SMALL if chosen.smoke else (VIEWS, SIZE, SAMPLES)
    options = MLPOptions(width=16 if chosen.smoke else 256, octaves=5.0)
    function = MLP.build(options, axes=3, channels=4, size=()).to(device)
    params = fitted(function, 2 if chosen.smoke else 300, device)
    around = spiral(views, RADIUS, size=(size, size))
    cameras = Cameras(around.pose[None], around.intrinsics[None], around.size)
    where = Rays(cameras.to(device))
    seen = torch.linspace(0, views - 1, min(views, SHOWN)).long()
    truth, rates = pictured(cameras[:, seen]), product_rates(device, smoke=chosen.smoke)
    marches = {
        "skipping": MarchRays(*BOX, samples=samples),
        "box": MarchRays(*BOX, samples=samples, occupancy=0),
    }
    packed = device.type == "cuda" and packed_works(device)
    walks = packed and traversal_works(device)
    if walks:
        marches["traversal"] = MarchRays(*BOX, samples=samples, traversal=True)
    rows.add(what="nerfacc's kernels", load=packed, traverse=walks)
    pictures: dict[str, Tensor] = {}
    for way, name in [(way, name) for way in marches for name in sorted(formats_on(device))]:
        with rows.attempt(f"{way}, {name}", least=10), torch.no_grad():
            torch.set_float32_matmul_precision(FORMATS[name].products)
            show = functools.partial(shown, marches[way], function, params, where, name, device)
            points, values = show()
            forget_peak(device)
            seconds = median_seconds(show, device, 1 if chosen.smoke else 3, warm=0)
            pictures[f"{way}, {name}"] = kept = values[:, :, seen]
            row: dict[str, Any] = {"views": views, "s": seconds, "ms/view": 1000 * seconds / views}
            row |= {"asked": points / (where.count * samples), "GB": (peak_memory(device) or 0) / 1e9}
            row |= {"of matmul": points * work_of(function) / seconds / rates[name], "PSNR": psnr(kept, truth)}
            rows.add(figure="P6", what=f"{way}, {name}", **row)
    for one, other in (("box", "skipping"), ("skipping", "traversal")):
        if {f"{one}, fp32", f"{other}, fp32"} <= pictures.keys():
            agreement = psnr(pictures[f"{one}, fp32"], pictures[f"{other}, fp32"])
            rows.add(what=f"{other} agrees with {one}", PSNR=agreement)
    if chosen.pictures is not None and pictures:
        first = next(iter(pictures.values()))
        both = torch.cat([truth[0].transpose(0, 1), first[0].transpose(0, 1)])
        save_png(sheet((both + 1) / 2, columns=len(seen)), chosen.pictures / "views.png")


def shown(
    march: MarchRays, function: MLP, params: dict[str, Tensor], where: Rays, name: str, device: torch.device
) -> tuple[int, Tensor]:
    """How many points the field was asked for, and (1, 3, V, H, W) in the computer's memory."""
    field = Counted(function.bind(params))
    with autocast(FORMATS[name].precision, device):
        values = march(field, where)
    return field.points, values.float().cpu()


if __name__ == "__main__":
    main()
