"""Encode embedded faces and render them finer than they were seen, beside enlarging and the truth.

The embedded faces are exact at any size, so the truth is known. Rendering between the pixels is smooth; it adds no
detail that the encoder could not see, and the figures say how it compares with plain bicubic enlarging.

python examples/render_finer.py runs/demo [--scale 4] [-n 8] [--out finer.png]
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

import inrkit

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("run", help="a run that was trained on the embedded faces, as `make demo` does")
parser.add_argument("--scale", type=int, default=4, help="how much finer [%(default)s]")
parser.add_argument("-n", type=int, default=8, help="faces [%(default)s]")
parser.add_argument("--out", type=Path, default="finer.png", help="[%(default)s]")
args = parser.parse_args()

model = inrkit.load(args.run)
modality = model.modality
source, numbers = modality.source(None, "test"), range(args.n)
prediction = model.encode(source.read(numbers))
height, width = prediction.signal.shape[-2:]
fine = modality.display.places({"size": f"{width * args.scale}x{height * args.scale}"})[0]

rendered = prediction.at(fine)
enlarged = F.interpolate(prediction.signal, rendered.shape[-2:], mode="bicubic")
truth = modality.display.truth(source, numbers, fine)
assert truth is not None  # of embedded signals it is known


def psnr(values: Tensor, reference: Tensor) -> float:
    """Mean over the signals, in dB; values lie in [-1, 1]."""
    error = (values.clamp(-1, 1) - reference.clamp(-1, 1)).square().flatten(1).mean(1)
    return float(10 * torch.log10(4 / error).mean())


print(f"{args.scale} times finer, against the truth: ", end="")
print(f"rendered {psnr(rendered, truth):.2f} dB, enlarged {psnr(enlarged, truth):.2f} dB")
back = F.avg_pool2d(rendered, args.scale)
print(f"averaged back, the finer render agrees with the plain one to {psnr(back, prediction.signal):.1f} dB")

# A row each: what went in, enlarged, rendered, the truth.
seen = F.interpolate(F.avg_pool2d(truth, args.scale), scale_factor=args.scale, mode="nearest")
rows = [torch.cat(list(row), dim=-1) for row in (seen, enlarged, rendered, truth)]
print("written:", modality.display.write([torch.cat(rows, dim=-2)], args.out))
