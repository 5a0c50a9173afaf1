"""From a folder of pictures to a trained run, as the commands `data import` and `train` do it.

python examples/train_on_a_folder.py FOLDER [--size 32] [--steps 500] [--out runs/folder]
"""

import argparse
import subprocess
import sys
from pathlib import Path

import inrkit

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("folder", type=Path)
parser.add_argument("--size", type=int, default=32)
parser.add_argument("--steps", type=int, default=500)
parser.add_argument("--out", type=Path, default=Path("runs/folder"))
args = parser.parse_args()

store = args.out.with_suffix(".h5")
store.parent.mkdir(parents=True, exist_ok=True)
if not store.exists():
    size = f"{args.size}x{args.size}"
    command = [sys.executable, "-m", "inrkit", "data", "import", "images", args.folder, store, "--size", size]
    subprocess.run([str(part) for part in command], check=True)
sets = [f"options.size={args.size},{args.size}"]
model = inrkit.train(modality="image", data=str(store), steps=args.steps, sets=sets, out=args.out)
print(f"trained {model.step} steps; open {model.run / 'report.html'}")
