"""Encode embedded faces and render them finer than they were seen, beside enlarging and the truth.

python examples/render_finer.py runs/demo [--scale 4] [-n 16]
"""

import argparse

import torch
from torch.nn import functional as F

import inrkit

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("run")
parser.add_argument("--scale", type=int, default=4)
parser.add_argument("-n", type=int, default=16)
args = parser.parse_args()

model = inrkit.load(args.run)
source = model.modality.source(None, "test")
numbers = range(args.n)
prediction = model.encode(source.read(numbers))
height, width = prediction.signal.shape[-2:]
fine = model.modality.places({"size": f"{width * args.scale}x{height * args.scale}"})[0]
truth = model.modality.truth(source, numbers, fine)
render = prediction.at(fine)
bicubic = F.interpolate(prediction.signal, render.shape[-2:], mode="bicubic")


def psnr(values: torch.Tensor) -> str:
    return f"{10 * torch.log10(4 / (values.clamp(-1, 1) - truth).square().flatten(1).mean(1)).mean():.2f} dB"


print(f"at {args.scale}x, against the truth: rendered {psnr(render)}, bicubic from 1x {psnr(bicubic)}")
back = F.avg_pool2d(render, args.scale)
agreement = 10 * torch.log10(4 / (back - prediction.signal).square().flatten(1).mean(1))
print(f"averaged back to 1x it agrees with the 1x render to {agreement.mean():.1f} dB")
