"""Generate signals with a trained run, in one step and in two, and keep one as a file.

python examples/sample_and_save.py runs/demo [-n 8] [--out generated]
"""

import argparse
from pathlib import Path

import inrkit

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("run")
parser.add_argument("-n", type=int, default=8)
parser.add_argument("--out", type=Path, default=Path("generated"))
args = parser.parse_args()

args.out.mkdir(parents=True, exist_ok=True)
model = inrkit.load(args.run)
for name, times in (("one-step", (80.0,)), ("two-step", (80.0, 0.821))):
    prediction = model.sample(args.n, seed=0, times=times)
    for i, signal in enumerate(prediction.signal):
        model.modality.write([signal], args.out / f"{name}-{i}.png")
inrkit.save_inr(args.out / "first.inr", model.inr(prediction, 0))
print(f"{2 * args.n} pictures and {args.out / 'first.inr'}")
