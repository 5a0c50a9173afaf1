"""Trained systems beside each other: images a second at several resolutions. `inrkit compare` has their other figures.

    python benchmarks/systems.py RUN... [--sizes 32 64 128] [--threads 2]

"rendered" is one pass of the network and a render of its INR at every size;
"native" is a pass at every size, for networks that can do that. Both are signals a second, each at all sizes.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

import inrkit
from inrkit import Grid, GridObservation
from inrkit.comparison.operations import of_sample

BATCH = 16
LEVEL = 80.0


def seconds(run: Callable[[], object], rounds: int) -> float:
    """Median of several."""
    run()
    found = []
    for _ in range(rounds):
        begin = time.perf_counter()
        run()
        found.append(time.perf_counter() - begin)
    return statistics.median(found)


@torch.no_grad()
def rendered_rate(model: inrkit.Model, sizes: Sequence[int], rounds: int) -> float:
    """Signals a second, each generated once and rendered at every size."""
    places = [model.modality.display.places({"size": f"{size}x{size}"})[0] for size in sizes]

    def run() -> None:
        prediction = model.sample(BATCH)
        with torch.autocast("cpu", torch.bfloat16, enabled=model.precision == "bf16"):
            for place in places:
                prediction.at(place)

    return BATCH / seconds(run, rounds)


@torch.no_grad()
def native_rate(model: inrkit.Model, sizes: Sequence[int], rounds: int) -> float:
    """Signals a second, each generated anew at every size; 0 for a network of one size."""
    channels = model.modality.template(1).values.shape[1]
    level = torch.full((BATCH,), LEVEL)
    noise = [GridObservation(LEVEL * torch.randn(BATCH, channels, s, s), Grid((s, s))) for s in sizes]

    def run() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=model.precision == "bf16"):
            for observation in noise:
                model.pipeline.params(observation, level)

    try:
        run()
    except (inrkit.UsageError, RuntimeError):
        return 0.0
    return BATCH / seconds(run, rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--sizes", type=int, nargs="+", default=[32, 64, 128])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print(f"{'run':18} {'GFLOP':>6} {'rendered':>9} native")
    for path in args.runs:
        model = inrkit.load(path, precision="auto")
        rates = rendered_rate(model, args.sizes, args.rounds), native_rate(model, args.sizes, args.rounds)
        gflop = of_sample(model.pipeline, model.modality) / 1e9
        print(f"{path.name:18} {gflop:6.2f} {rates[0]:9.2f} {rates[1]:6.2f}", flush=True)


if __name__ == "__main__":
    main()
