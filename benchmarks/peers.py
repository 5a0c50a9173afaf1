"""Ours beside the peers' official code, in one process, in turns, in fp32.

    python benchmarks/peers.py --ect FOLDER --trans-inr FOLDER [--threads 1] [--rounds 3] [--json]

The folders are checkouts of https://github.com/locuslab/ect and https://github.com/yinboc/trans-inr, which need einops,
tensorboardX, wandb, matplotlib, imageio, requests and scipy. Nothing of them is part of this project.

    ect         one training step of ECT: its loss, its DDPM++ U-Net, the rest of its loop; beside `--objective ect`
                with the denoiser `unet` of the same widths; images of 32 x 32, RAdam, dropout in both
    trans-inr   one view of a radiance field, an MLP of 6 layers of 256, 128 x 128 rays of 64 samples: its renderer,
                beside ours with rays that miss the box left out ("box") and empty space as well ("skipping")

"x peer" is how many times as fast as the peer each is. Loss and picture of a peer are not compared with ours: its
weights are drawn in its own way.
"""

import argparse
import contextlib
import copy
import functools
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from fields import fitted, ring, ways_of
from measure import begin, in_turns, matmul_rate, options, report
from training import halfway, step_of

import inrkit
from inrkit_nerf.mlp import MLP, MLPOptions
from inrkit_nerf.observation import Rays

DROPOUT = 0.2


def module(name: str, path: Path) -> ModuleType:
    """A peer's file as a module of this name."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None, path
    assert spec.loader is not None, path
    found = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@contextlib.contextmanager
def importable(folder: Path) -> Any:
    """A peer's files import one another."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def our_step(batch: int, width: int, blocks: int) -> tuple[Callable[[], object], int]:
    """A training step of our U-Net, and the number of its weights."""
    unet = {"width": width, "multipliers": [2, 2, 2], "blocks": blocks, "attention": [16], "dropout": DROPOUT}
    shape = {"function": "grid", "denoiser": "unet", "denoiser_options": unet, "size": [32, 32], "count": 64}
    flags = {"objective": "ect", "batch_size": batch, "optimizer": "radam", "options": shape}
    learner = halfway(inrkit.resolve("image", "tiny", flags=flags), "fp32")
    signals = learner.modality.source(None, "train").read(range(batch))
    return functools.partial(step_of, learner, signals), sum(p.numel() for p in learner.pipeline.parameters())


def peers_step(folder: Path, batch: int, width: int, blocks: int) -> tuple[Callable[[], object], int]:
    """The same of ECT, as its own loop does it."""
    with importable(folder):
        networks = module("ect_networks", folder / "training" / "networks.py")
        losses = module("ect_loss", folder / "training" / "loss.py")
    network = networks.ECMPrecond(
        *(32, 3),
        model_type="SongUNet",
        model_channels=width,
        channel_mult=[2, 2, 2],
        num_blocks=blocks,
        attn_resolutions=[16],
        dropout=DROPOUT,
        embedding_type="positional",
        encoder_type="standard",
        decoder_type="standard",
    ).train()
    optimizer, loss = torch.optim.RAdam(network.parameters(), lr=1e-4), losses.ECMLoss()
    loss.update_schedule(3)
    images, average = torch.randn(batch, 3, 32, 32), copy.deepcopy(network).eval().requires_grad_(False)
    # It shares dropout between teacher and student by the state of CUDA's generator.
    vars(torch.cuda).update(get_rng_state=torch.get_rng_state, set_rng_state=torch.set_rng_state)

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        found = loss(network, images).mean()
        found.backward()
        for weight in network.parameters():
            if weight.grad is not None:
                torch.nan_to_num(weight.grad, nan=0, posinf=1e5, neginf=-1e5, out=weight.grad)
        optimizer.step()
        for kept, weight in zip(average.parameters(), network.parameters(), strict=True):
            kept.copy_(weight.detach().lerp(kept, 0.9999))
        return float(found.detach())

    return step, sum(p.numel() for p in network.parameters())


def steps(folder: Path, chosen: argparse.Namespace) -> list[dict[str, Any]]:
    """Rows of the training steps."""
    size = chosen.batch, chosen.width, chosen.blocks
    (ours, our_count), (theirs, count) = our_step(*size), peers_step(folder, *size)
    seconds = in_turns({"ect": theirs, "inrkit": ours}, chosen.rounds)
    weights = {"ect": count, "inrkit": our_count}
    return [row("training step", name, taken, seconds["ect"], weights[name]) for name, taken in seconds.items()]


@torch.no_grad()
def views(folder: Path, chosen: argparse.Namespace) -> list[dict[str, Any]]:
    """Rows of the views."""
    with importable(folder):
        field = importlib.import_module("models.hyponets.hypo_nerf").HypoNerf(depth=6, hidden_dim=256, pe_dim=40)
        render = importlib.import_module("utils.geometry").batched_volume_rendering
    shapes = field.param_shapes.items()
    field.set_params({name: torch.randn(1, *shape) * (2 / shape[0]) ** 0.5 for name, shape in shapes})
    torch.manual_seed(0)
    function = MLP.build(MLPOptions(width=256, octaves=5.0), axes=3, channels=4, size=())
    with torch.enable_grad():
        params = fitted(function, chosen.steps)
    where = Rays(ring(1, 35, chosen.size))
    ways = ways_of(function, params, where, chosen.samples)
    origins, directions = where.rays(0, where.count)

    def theirs() -> object:
        return render(field, origins, directions, 0.8, 1.8, chosen.samples, False, False, batch_size=2048)

    ours = {name: functools.partial(ways[name], function.bind(params)) for name in ("box", "skipping")}
    seconds = in_turns({"trans-inr": theirs, **ours}, chosen.rounds)
    count = sum(rows * columns for _, (rows, columns) in shapes)
    of_ours = sum(rows * columns for rows, columns in function.param_shapes.values())
    return [
        row("view", name, taken, seconds["trans-inr"], count if name == "trans-inr" else of_ours)
        for name, taken in seconds.items()
    ]


def row(what: str, who: str, taken: float, peer: float, weights: int) -> dict[str, Any]:
    return {"what": what, "who": who, "seconds": taken, "x peer": peer / taken, "weights/k": weights / 1e3}


def main(arguments: list[str] | None = None) -> None:
    parser = options(__doc__, rounds=3)
    parser.add_argument("--ect", type=Path, help="a checkout of locuslab/ect")
    parser.add_argument("--trans-inr", type=Path, help="a checkout of yinboc/trans-inr")
    parser.add_argument("--batch", type=int, default=8, help="images in a step [%(default)s]")
    parser.add_argument("--width", type=int, default=64, help="channels of the U-Net [%(default)s]")
    parser.add_argument("--blocks", type=int, default=2, help="residual blocks at each resolution [%(default)s]")
    parser.add_argument("--steps", type=int, default=100, help="of fitting our field [%(default)s]")
    parser.add_argument("--size", type=int, default=128, help="height and width of the view [%(default)s]")
    parser.add_argument("--samples", type=int, default=64, help="on each ray [%(default)s]")
    chosen = parser.parse_args(arguments)
    begin(chosen)
    rows = [] if chosen.ect is None else steps(chosen.ect, chosen)
    rows += [] if chosen.trans_inr is None else views(chosen.trans_inr, chosen)
    facts = {"threads": chosen.threads, "matmul fp32 GFLOP/s": matmul_rate(torch.float32, chosen.matmul) / 1e9}
    report("peers, in fp32", rows or parser.error("expected --ect or --trans-inr"), facts, as_json=chosen.json)


if __name__ == "__main__":
    main()
