"""The function `windows`, forward and backward, beside the same sum taken place by place, and beside `anr`.

    python benchmarks/windows.py [--batch 32] [--threads 2] [--rounds 9] [--json]

At all places of a picture of 32 x 32 and of a sound of 512 samples; both ways answer alike. The share of the rate of
matrix products counts the products of the dictionary and of the tokens, forward and backward.
"""

import functools
from collections.abc import Callable
from typing import Any
from unittest import mock

import torch
from measure import DTYPES, begin, in_turns, matmul_rates, options, report
from torch import Tensor

from inrkit import grid_centers, make_function
from inrkit.machine.speed import operations
from inrkit_image.windows import Windows

# what, size, channels, side of a window
SHAPES = [("picture", (32, 32), 3, 4), ("sound", (512,), 1, 32)]
WIDTH = 96


def plain(function: Windows, tokens: Tensor, coords: Tensor) -> Tensor:
    """Each place multiplied by the tokens of the cells around it, one by one."""

    def mixed(columns: Tensor, cells: Tensor, waves: Tensor) -> Tensor:
        found = columns.permute(2, 0, 1)[:, cells[0]]  # (B, corners, P, width)
        return (found[:, :, :, None] * waves).sum((1, -1)).permute(1, 2, 0)[None]

    with mock.patch.object(Windows, "_mixed", lambda self, *given: mixed(*given)):
        return function({"tokens": tokens}, coords)


def both_ways(function: Callable[..., Tensor], tokens: Tensor, precision: torch.dtype) -> Tensor:
    """The gradient of the tokens."""
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
        values = function(tokens)
    return torch.autograd.grad(values.float().square().sum(), tokens)[0]


def measure(batch: int, rounds: int, shape: tuple[Any, ...], precision: str, rate: float) -> dict[str, Any]:
    """A row of the table; both ways have to answer alike."""
    what, size, channels, patch = shape
    kinds = {"axes": len(size), "channels": channels, "size": size}
    ours = make_function("windows", {"patch": patch, "width": WIDTH}, **kinds)
    anr = make_function("anr", {"patch": patch}, **kinds)
    assert isinstance(ours, Windows)
    coords = grid_centers(size)[None]
    tokens, others = (torch.randn(batch, *f.param_shapes["tokens"]).requires_grad_() for f in (ours, anr))
    ways: dict[str, tuple[Callable[[Tensor], Tensor], Tensor]] = {
        "windows": (lambda x: ours({"tokens": x}, coords), tokens),
        "plain": (lambda x: plain(ours, x, coords), tokens),
        "anr": (lambda x: anr({"tokens": x}, coords), others),
    }
    a, b = (both_ways(*ways[name], torch.float32) for name in ("windows", "plain"))
    assert torch.allclose(a, b, rtol=1e-3, atol=1e-3 * float(b.abs().max())), f"{what}: the two ways differ"
    runs = {name: functools.partial(both_ways, *way, DTYPES[precision]) for name, way in ways.items()}
    seconds = in_turns(runs, rounds)
    row: dict[str, Any] = {"what": what, "precision": precision}
    row |= {f"{name} ms": 1000 * taken for name, taken in seconds.items()}
    row["x plain"] = seconds["plain"] / seconds["windows"]
    row["x anr"] = seconds["anr"] / seconds["windows"]
    row["of matmul"] = operations(runs["windows"]) / seconds["windows"] / rate
    return row


def main(arguments: list[str] | None = None) -> None:
    parser = options(__doc__, rounds=9)
    parser.add_argument("--batch", type=int, default=32, help="signals [%(default)s]")
    chosen = parser.parse_args(arguments)
    begin(chosen)
    rates = matmul_rates(chosen.matmul, chosen.precision)
    rows = [
        measure(chosen.batch, chosen.rounds, shape, name, rates[name]) for shape in SHAPES for name in chosen.precision
    ]
    facts = {"threads": chosen.threads, "batch": chosen.batch, **{f"{k} GFLOP/s": v / 1e9 for k, v in rates.items()}}
    report("windows", rows, facts, as_json=chosen.json)


if __name__ == "__main__":
    main()
