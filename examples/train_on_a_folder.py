"""From a folder of pictures to a trained run, as the commands `data import` and `train` do it.

python examples/train_on_a_folder.py FOLDER [--size 32] [--steps 500] [--out runs/folder]
"""

import argparse
from pathlib import Path

import inrkit

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("folder", type=Path, help="of image files; a tar or zip will do as well")
parser.add_argument("--size", type=int, default=32, help="side of the pictures that are learned [%(default)s]")
parser.add_argument("--steps", type=int, default=500, help="[%(default)s]")
parser.add_argument("--out", type=Path, default=Path("runs/folder"), help="the run directory [%(default)s]")
parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="any key of docs/config.md")
args = parser.parse_args()

store = args.out.with_suffix(".h5")
store.parent.mkdir(parents=True, exist_ok=True)
if not store.exists():  # written once; the same command again goes on training
    images = inrkit.load_plugins().importer("images")
    options = images.Options(size=f"{args.size}x{args.size}", channels="rgb", skip_broken=True)
    with inrkit.StoreWriter(store, images.modality) as out:
        images().run(args.folder, out, options, inrkit.quiet)
    for reason in out.skipped:
        print("skipped", reason)

sets = [f"options.size={args.size},{args.size}", *args.set]
model = inrkit.train(modality="image", data=str(store), steps=args.steps, overrides=sets, out=args.out)
print(f"trained {model.step} steps; open {model.run / 'report.html'}")
