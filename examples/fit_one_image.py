"""Turn one picture into an INR by training on nothing else, and render it larger: the pieces without the trainer.

python examples/fit_one_image.py [PICTURE] [--steps 200] [--out fitted.png]
"""

import argparse
from pathlib import Path

import torch

import inrkit
from inrkit import Draws, Reconstruction, Step

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("picture", nargs="?", help="any image file; an embedded face by default")
parser.add_argument("--steps", type=int, default=200, help="[%(default)s]")
parser.add_argument("--size", default="256x256", metavar="WxH", help="of the picture that is written [%(default)s]")
parser.add_argument("--out", type=Path, default="fitted.png", help="[%(default)s]")
args = parser.parse_args()

torch.manual_seed(0)
kind = inrkit.load_plugins().modality("image")
modality = kind(kind.Options(size=(32, 32), channels=3, width=128, hidden=256, depth=2, decoder_depth=1))
signals = modality.display.read([args.picture])[0] if args.picture else modality.source(None, "test").read([7])
pipeline = modality.build(inrkit.make_readout("direct"))

objective = Reconstruction()
optimizer = torch.optim.AdamW(pipeline.parameters(), lr=1e-3)
for step in range(args.steps):
    batch = modality.observe(signals, Draws(step, total=1), training=True)
    loss = objective.loss(Step(pipeline, pipeline, batch, Draws(step, total=1), progress=0.0))
    optimizer.zero_grad()
    loss.total.backward()
    optimizer.step()

batch = modality.observe(signals, Draws(0, total=1), training=False)
prediction = pipeline.encode(batch.support)
error = (prediction.signal - batch.query.values).square().mean()
print(f"{10 * torch.log10(4 / error):.1f} dB after {args.steps} steps")
with torch.no_grad():
    large = prediction.at(modality.display.places({"size": args.size})[0])
print("written:", modality.display.write([large[0]], args.out))
