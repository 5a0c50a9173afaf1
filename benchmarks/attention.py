"""`inrkit.attend` beside PyTorch's fused scaled-dot-product attention, forward and backward.

    python benchmarks/attention.py [--batch 40] [--threads 2] [--rounds 9] [--json]

At the sequence lengths of the image presets: patches and INR tokens of 32 x 32 and 64 x 64 images, and places asking
INR tokens. Milliseconds are medians; the two take turns.
"""

import functools
from collections.abc import Callable
from typing import Any

import torch
from measure import DTYPES, begin, in_turns, options, report
from torch import Tensor
from torch.nn import functional as F

from inrkit import attend

# what, heads, N queries, M keys, d of each head
SHAPES = [
    ("encoder, tiny", 4, 64, 64, 64),
    ("encoder, celeba-64", 12, 256, 256, 64),
    ("places, tiny", 2, 1024, 64, 32),
    ("places, celeba-64", 6, 4096, 256, 64),
]


def tensors(batch: int, heads: int, n: int, m: int, d: int, dtype: torch.dtype) -> tuple[Tensor, ...]:
    """q, k, v as a projection leaves them, heads behind places, and a gradient of the result."""
    q, k, v, g = (torch.randn(batch, places, heads, d, dtype=dtype).transpose(1, 2) for places in (n, m, m, n))
    return q.requires_grad_(), k.requires_grad_(), v.requires_grad_(), g


def forward(attention: Callable[..., Tensor], parts: tuple[Tensor, ...]) -> Tensor:
    with torch.no_grad():
        return attention(*parts[:3])


def both_ways(attention: Callable[..., Tensor], parts: tuple[Tensor, ...]) -> None:
    torch.autograd.grad(attention(*parts[:3]), parts[:3], parts[3])


def measure(batch: int, rounds: int, shape: tuple[str, int, int, int, int], precision: str) -> dict[str, Any]:
    """A row of the table; both kinds of attention have to answer alike."""
    what, heads, n, m, d = shape
    parts = tensors(batch, heads, n, m, d, DTYPES[precision])
    fused = F.scaled_dot_product_attention
    difference = float((forward(attend, parts) - forward(fused, parts)).float().abs().max())
    assert difference < (1e-4 if precision == "fp32" else 5e-2), f"{what}, {precision}: differ by {difference}"
    runs = {
        f"{kind} {name}": functools.partial(run, attention, parts)
        for name, run in (("forward", forward), ("both", both_ways))
        for kind, attention in (("fused", fused), ("attend", attend))
    }
    seconds = in_turns(runs, rounds)
    row: dict[str, Any] = {"what": what, "heads": heads, "N": n, "M": m, "d": d, "precision": precision}
    for name in ("forward", "both"):
        ours, theirs = seconds[f"attend {name}"], seconds[f"fused {name}"]
        row |= {f"{name} fused ms": 1000 * theirs, f"{name} attend ms": 1000 * ours, f"{name} gain": theirs / ours}
    return row


def main(arguments: list[str] | None = None) -> None:
    parser = options(__doc__, rounds=9)
    parser.add_argument("--batch", type=int, default=40, help="rows [%(default)s]")
    names = [name for name, *_ in SHAPES]
    parser.add_argument("--shape", nargs="+", choices=names, default=names, metavar="WHAT", help="%(choices)s [all]")
    chosen = parser.parse_args(arguments)
    begin(chosen)
    wanted = [shape for shape in SHAPES if shape[0] in chosen.shape]
    rows = [measure(chosen.batch, chosen.rounds, shape, name) for shape in wanted for name in DTYPES]
    report("attention", rows, {"threads": chosen.threads, "batch": chosen.batch}, as_json=chosen.json)


if __name__ == "__main__":
    main()
