"""Trained systems beside each other: encode, samples, operations, and images a second at several resolutions.

    python benchmarks/systems.py JUDGE RUN... [-n 1000] [--sizes 32 64 128] [--threads 2]

Fréchet figures are ratios to real against real, in random convolutional features, all against the held-out signals of
JUDGE, which is the first run and is measured like the others; samples of a second stage are compared as the pictures
that its first stage makes of them. "rendered" is one pass of the network and a render of its INR at every size;
"native" is a pass at every size, for networks that can do that. Both are signals a second, each at all sizes.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import measure
import torch

import inrkit
from inrkit import Grid, GridObservation
from inrkit.core.metric import compare_sets
from inrkit.engine import sets
from inrkit.engine.evaluate import evaluate
from inrkit.engine.heldout import choose, pictures_of, source_of

TIMES = ((80.0,), (80.0, 0.821))
BATCH = 16
LEVEL = 80.0


class Judge:
    """Held-out signals, a floor, and features that were fitted on neither."""

    def __init__(self, model: inrkit.Model, n: int) -> None:
        def quiet(stage: str, done: int, total: int) -> None: ...

        held_out, training = source_of(model, "test"), source_of(model, "train")
        n = min(n, len(held_out))
        self.real = sets.real_pictures(model, held_out, choose(len(held_out), n, 0), "", quiet)
        others = sets.real_pictures(model, training, choose(len(training), n + 1000, 0), "", quiet)
        self.floor, self.features = others[:n], sets.spaces_of(others[n:])["random-conv"]

    def ratio(self, model: inrkit.Model, times: Sequence[float]) -> float:
        """The Fréchet distance of samples from held-out signals, as a multiple of the floor's."""
        samples = model.sample(len(self.real), seed=1, times=times)
        shown = torch.cat([sets.small(pictures_of(model, part)) for part in samples.signal.split(100)])
        found = compare_sets(self.real, self.floor, shown, self.features, seed=0)
        return float(found["samples"]["frechet"] / found["real"]["frechet"])


def operations(model: inrkit.Model) -> float:
    """Of one pass, forward and backward, for one signal."""
    kind = model.modality
    pipeline = kind.build(inrkit.make_readout(model.config.readout))
    observation = kind.template(8)
    return measure.flops(lambda: pipeline(observation, torch.ones(8)).signal.sum().backward()) / 8


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
    places = [model.modality.places({"size": f"{size}x{size}"})[0] for size in sizes]

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
    parser.add_argument("-n", type=int, default=1000)
    parser.add_argument("--sizes", type=int, nargs="+", default=[32, 64, 128])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    judge = None
    print(
        f"{'run':18} {'M weights':>9} {'GFLOP':>6} {'PSNR dB':>8} {'1 step':>7} {'2 steps':>7} {'rendered':>9} native"
    )
    for path in args.runs:
        model = inrkit.load(path, precision="auto")
        judge = judge or Judge(model, args.n)
        weights = sum(p.numel() for p in model.pipeline.parameters()) / 1e6
        psnr = evaluate(model, n=args.n, metrics=["psnr"], run_dir=path)["encode"]["psnr"]["mean"]
        one, two = (judge.ratio(model, times) for times in TIMES)
        rates = rendered_rate(model, args.sizes, args.rounds), native_rate(model, args.sizes, args.rounds)
        print(
            f"{path.name:18} {weights:9.2f} {operations(model) / 1e9:6.2f} {psnr:8.2f} {one:7.1f} {two:7.1f} "
            f"{rates[0]:9.2f} {rates[1]:6.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
