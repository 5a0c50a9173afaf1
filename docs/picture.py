"""Makes docs/faces.png of a run: samples of one step above, held-out signals and what their INRs show below.

python docs/picture.py RUN [--columns 12] [--out docs/faces.png]
"""

import argparse
from pathlib import Path

import torch

import inrkit
from inrkit.core.draws import seed_of
from inrkit.drawing.sheet import labelled_rows, save_png
from inrkit.inference.picture import pictures_of
from inrkit.inference.signalset import SignalSet

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("run", type=Path)
parser.add_argument("--columns", type=int, default=12, help="signals in a row [%(default)s]")
parser.add_argument("--out", type=Path, default=Path(__file__).with_name("faces.png"))
args = parser.parse_args()

model = inrkit.load(args.run)
sampled = pictures_of(model, model.sample(2 * args.columns, seed=0).signal)  # the first of them, not the best
encoded = SignalSet.choose(model, "test", args.columns, seed_of(0, "picture")).encode()
rows = {
    "one step": sampled[: args.columns],
    "": sampled[args.columns :],
    "held out": pictures_of(model, encoded.truth),
    "encoded": pictures_of(model, encoded.shown),
}
with torch.no_grad():
    print("written:", save_png(labelled_rows(rows), args.out))
