"""One picture to an object: a trained model encodes it, and its radiance field is seen from all around and as a mesh.

python examples/turntable.py RUN PICTURE [--views 24] [--size 96x96] [--out turn.webp] [--mesh object.glb]
"""

import argparse
import os
from pathlib import Path

# Threads that wait for each other sleep after some microseconds: other programs want the cores too.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "3000")

import inrkit

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("run", help="trained with `inrkit train --modality nerf`, or the name of a model of such objects")
parser.add_argument("picture", help="of an object before white, from a corner above; or a folder with cameras.json")
parser.add_argument("--views", type=int, default=24, help="[%(default)s]")
parser.add_argument("--size", default="96x96", metavar="WxH", help="of each view [%(default)s]")
parser.add_argument(
    "--out", type=Path, default="turn.webp", help=".webp, .gif, .mp4, or a folder for frames [%(default)s]"
)
parser.add_argument("--mesh", type=Path, default="object.glb", help=".glb, .ply, .obj or .stl [%(default)s]")
parser.add_argument("--faces", type=int, default=5000, help="triangles of the mesh, at most [%(default)s]")
args = parser.parse_args()

model = inrkit.load(args.run)
code = model.encode([args.picture])
file = inrkit.save_inr("object.inr", model.inr(code, 0))
views = inrkit.render(file, {"orbit": args.views, "size": args.size})
print("written:", model.modality.display.write(views, args.out))
mesh = inrkit.load_plugins().exporter("mesh")
try:
    for path in inrkit.export(file, mesh(), mesh.Options(cells=64, faces=args.faces), args.mesh):
        print("written:", path)
except inrkit.DataError as error:
    print("no mesh:", error)
