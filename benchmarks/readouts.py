"""The three read-outs at equal steps: reconstruction PSNR and the Fréchet distance of samples, with several seeds.

    python benchmarks/readouts.py [--steps 500] [--seeds 3] [--size 16] [--out runs/readouts]

Faces of 16 x 16, a network of width 128, the tiny preset's objective; only the read-out and the seed change. Runs that
are there already are evaluated only. Fréchet figures are ratios to real against real, in random convolutional features.
"""

import argparse
import statistics
from pathlib import Path

import torch

import inrkit
from inrkit.evaluation.evaluate import evaluate

SETS = [
    "options.patch=4",
    "options.width=128",
    "options.heads=4",
    "options.hidden=512",
    "options.inr_width=64",
    "save_every=1000000",
    "sample_every=1000000",
]
READOUTS = ("direct", "two-headed", "literal")


def measure(readout: str, seed: int, args: argparse.Namespace) -> dict[str, float]:
    """Trains one run, or takes it as it is, and evaluates it."""
    sets = [*SETS, f"options.size={args.size},{args.size}", f"readout={readout}", f"seed={seed}"]
    out = args.out / f"{readout}-{seed}"
    inrkit.train(modality="image", steps=args.steps, overrides=sets, out=out, progress=False, on_end=lambda *_: None)
    model = inrkit.load(out, precision="auto")
    found = evaluate(model, n=args.n, metrics=["psnr", "frechet"])
    rows = found["sets"]["spaces"]["random-filters"]
    one, two = (next(row for name, row in rows.items() if name.startswith(start)) for start in ("1 step", "2 steps"))
    floor = rows["real"]["frechet"]
    psnr = found["reconstruction"]["psnr"]["mean"]
    return {"psnr": psnr, "one": one["frechet"] / floor, "two": two["frechet"] / floor}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--size", type=int, default=16)
    parser.add_argument("-n", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("runs/readouts"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print("read-out      reconstruction PSNR (dB)           one step / floor          two steps / floor", flush=True)
    for readout in READOUTS:
        rows = [measure(readout, seed, args) for seed in range(args.seeds)]
        cells = []
        for key in ("psnr", "one", "two"):
            values = [row[key] for row in rows]
            cells.append(f"{statistics.fmean(values):6.2f} ({', '.join(f'{v:.2f}' for v in values)})")
        print(f"{readout:12}  " + "  ".join(cells), flush=True)


if __name__ == "__main__":
    main()
