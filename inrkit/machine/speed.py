"""How much there is to compute, counted while it is computed; and how fast this machine multiplies matrices."""

import time
from collections import Counter
from collections.abc import Callable
from typing import Any, final

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry, sdpa_backward_flop_count, sdpa_flop_count

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
_SIDES = {"cpu": 1024}  # of the matrices that are multiplied; of an accelerator's, which wants larger ones, the other
_SIDE = 8192
_PATIENCE = 0.3  # seconds for each rate


@final
class Operations(TorchDispatchMode):
    """Counts the operations of matrix products and convolutions; torch's FlopCounterMode, less its tracking of
    modules, and with the processors' fused attention, which torch leaves out.

    ``by_part`` has them apart: "forward" with gradients, "backward", "teacher" for what is computed without gradients,
    and "optimizer" for what is computed while ``optimizing`` says so.
    """

    def __init__(self, optimizing: Callable[[], bool] = lambda: False) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's own is not annotated
        self.by_part: Counter[str] = Counter()
        self._optimizing = optimizing

    @property
    def total(self) -> int:
        return sum(self.by_part.values())

    def _part(self) -> str:
        if self._optimizing():
            return "optimizer"
        if torch._C._current_autograd_node() is not None:
            return "backward"
        return "forward" if torch.is_grad_enabled() else "teacher"

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        packet, count = func._overloadpacket, 0
        if packet in flop_registry:
            count = flop_registry[packet](*args, **(kwargs or {}), out_val=out)
        elif packet is torch.ops.aten._scaled_dot_product_flash_attention_for_cpu:
            count = sdpa_flop_count(*(x.shape for x in args[:3]))
        elif packet is torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward:
            count = sdpa_backward_flop_count(*(x.shape for x in args[:4]))
        if count:
            self.by_part[self._part()] += int(count)
        return out


def operations(run: Callable[[], object]) -> int:
    """Operations in the matrix products of a run, forward and backward; a multiplication and an addition are two."""
    counter = Operations()
    with counter:
        run()
    return counter.total


def matmul_rates(device: torch.device) -> dict[str, float]:
    """Operations a second of square matrix products in each number format: the best of some tenths of a second."""
    return {name: _rate(dtype, device) for name, dtype in DTYPES.items()}


def synchronize(device: torch.device) -> None:
    """Waits until an accelerator has done what it was told to."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def _rate(dtype: torch.dtype, device: torch.device) -> float:
    side = _SIDES.get(device.type, _SIDE)
    a = torch.ones(side, side, dtype=dtype, device=device)
    best, end = float("inf"), time.perf_counter() + _PATIENCE
    while True:
        start = time.perf_counter()
        a @ a
        synchronize(device)
        now = time.perf_counter()
        best = min(best, now - start)
        if now > end:
            return 2 * side**3 / best
