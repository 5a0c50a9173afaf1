"""One picture to a turntable: a run encodes it, and its radiance field is seen from all around.

python examples/turntable.py RUN PICTURE [--views 36] [--size 96x96] [--out turn.gif]
"""

import argparse
from pathlib import Path

import inrkit

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("run", help="trained with `inrkit train --modality nerf`")
parser.add_argument("picture", help="of an object before white, from a corner above; or a folder with cameras.json")
parser.add_argument("--views", type=int, default=36, help="[%(default)s]")
parser.add_argument("--size", default="96x96", metavar="WxH", help="of each view [%(default)s]")
parser.add_argument(
    "--out", type=Path, default="turn.gif", help=".gif, .webp, .mp4, or a folder for frames [%(default)s]"
)
args = parser.parse_args()

model = inrkit.load(args.run)
code = model.encode([args.picture])
file = inrkit.save_inr("object.inr", model.inr(code, 0))
views = inrkit.render(file, {"orbit": args.views, "size": args.size})
print("written:", model.modality.display.write(views, args.out))
