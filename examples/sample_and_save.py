"""Generate signals with a trained run, in one step and in two; keep them as pictures, and as files that need no run.

python examples/sample_and_save.py runs/demo [-n 8] [--size 256x256] [--out generated]
"""

import argparse
from pathlib import Path

import inrkit

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("run", help="a trained run, such as that of `make demo`")
parser.add_argument("-n", type=int, default=8, help="signals of each kind [%(default)s]")
parser.add_argument("--seed", type=int, default=0, help="equal seeds give equal signals [%(default)s]")
parser.add_argument("--size", default="256x256", metavar="WxH", help="of the pictures [%(default)s]")
parser.add_argument("--out", type=Path, default=Path("generated"), help="[%(default)s]")
args = parser.parse_args()

args.out.mkdir(parents=True, exist_ok=True)
model = inrkit.load(args.run)
for name, times in (("one-step", model.times(1)), ("two-step", model.times(2))):
    prediction = model.sample(args.n, seed=args.seed, times=times)
    for i in range(args.n):
        file = args.out / f"{name}-{i}.inr"
        inrkit.save_inr(file, model.inr(prediction, i, {"seed": args.seed, "times": list(times)}))
        # From here on the file is enough: anybody can render it, at any size, without the run.
        values = inrkit.render(file, {"size": args.size})
        model.modality.display.write(values, file.with_suffix(".png"))
print(f"{2 * args.n} signals in {args.out}: an .inr file and a picture of each")
