"""Train on a folder of posed pictures with a file cameras.json: import it, train, and render a new object's turntable.

python examples/posed_pictures.py FOLDER [--size 32x32] [--steps 2000] [--out runs/posed]
"""

import argparse
from pathlib import Path

import inrkit

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("folder", type=Path, help="pictures and cameras.json, see docs/data.md")
parser.add_argument("--size", default="32x32", metavar="WxH", help="all pictures are resized to this [%(default)s]")
parser.add_argument("--steps", type=int, default=2000, help="[%(default)s]")
parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="any config key")
parser.add_argument("--out", type=Path, default=Path("runs/posed"), help="[%(default)s]")
args = parser.parse_args()

importer = inrkit.load_plugins().importer("posed-images")
store = args.out.with_suffix(".h5")
store.parent.mkdir(parents=True, exist_ok=True)
if not store.exists():
    with inrkit.StoreWriter(store, importer.modality) as out:
        importer().run(args.folder, out, importer.Options(size=args.size), inrkit.quiet)

width, height = args.size.split("x")
sets = [f"options.size={height},{width}", *args.set]
model = inrkit.train(modality="nerf", data=str(store), steps=args.steps, overrides=sets, out=args.out)
turn = inrkit.render(model.inr(model.sample(1, seed=0), 0), {"orbit": 36})
print("written:", model.modality.display.write(turn, args.out / "new.gif"))
