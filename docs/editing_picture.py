"""Makes docs/editing.png of a run: what is known of held-out signals, and what each edit makes of it.

python docs/editing_picture.py RUN [--columns 10] [--out docs/editing.png]
"""

import argparse
from pathlib import Path

import torch

import inrkit
from inrkit import ChannelMean, KnownCells, PatchMeans, Restore
from inrkit.drawing.sheet import labelled_rows, save_png
from inrkit.inference.picture import pictures_of
from inrkit.inference.signalset import source_of

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("run", type=Path)
parser.add_argument("--columns", type=int, default=10, help="signals in a row [%(default)s]")
parser.add_argument("--out", type=Path, default=Path(__file__).with_name("editing.png"))
args = parser.parse_args()

model = inrkit.load(args.run)
signals = source_of(model, "test").read(range(args.columns))
truth = model.observe(signals).support.values
height, width = truth.shape[2:]
mask = torch.ones(height, width, dtype=torch.bool)
mask[height // 4 : 5 * height // 8, width // 4 : 3 * width // 4] = False

rows = {"held out": truth}
for name, operator in {"inpaint": KnownCells(mask), "superres": PatchMeans(4), "colorize": ChannelMean()}.items():
    known = operator.pseudo_inverse(operator.apply(truth))
    if name == "colorize":
        known = operator.apply(truth).expand_as(truth)
    rows[f"{name}: known"] = known
    rows[f"{name}: edited"] = model.edit(signals, Restore(operator)).observation.values
print("written:", save_png(labelled_rows({name: pictures_of(model, v) for name, v in rows.items()}), args.out))
