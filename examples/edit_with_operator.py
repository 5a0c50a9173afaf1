"""Recover faces from any linear measurement of them, with a model that was trained for none.

Known here are a coarse view (means of 4 x 4 pixels) and every eighth row, all of it at once. Any function of the values
that is linear and differentiable will do in its place: blur, projections, a mask along a curve.

python examples/edit_with_operator.py runs/demo [-n 6] [--out recovered.png]
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

import inrkit

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("run", help="a run that was trained on the embedded faces, as `make demo` does")
parser.add_argument("-n", type=int, default=6, help="faces [%(default)s]")
parser.add_argument("--out", type=Path, default="recovered.png", help="[%(default)s]")
args = parser.parse_args()


def measured(values: Tensor) -> Tensor:
    """Values (B, C, H, W) to what is known of them, (B, K)."""
    coarse = F.avg_pool2d(values, 4)
    return torch.cat([coarse.flatten(1), values[:, :, ::8].flatten(1)], dim=1)


model = inrkit.load(args.run)
source = model.modality.source(None, "test")
signals = source.read(range(args.n))
truth = model.observe(signals).support.values

operator = inrkit.Measured(measured, tuple(truth.shape[1:]))
edited = model.edit(signals, inrkit.Restore(operator)).observation.values

error = (measured(edited) - measured(truth)).abs().max()
psnr = 10 * torch.log10(4 / (edited - truth).square().flatten(1).mean(1))
smallest = operator.pseudo_inverse(measured(truth))
plain = 10 * torch.log10(4 / (smallest - truth).square().flatten(1).mean(1))
print(f"what is known is kept to {error:.1e}; {psnr.mean():.1f} dB from the truth")
print(f"the least values that measure the same are {plain.mean():.1f} dB from it")

# A row each: what is known, the recovered signals, the truth.
rows = [torch.cat(list(row), dim=-1) for row in (smallest, edited, truth)]
print("written:", model.modality.display.write([torch.cat(rows, dim=-2)], args.out))
