"""Operations that a system computes, counted while it computes them: systems are compared at equal ones."""

from collections.abc import Callable
from typing import Any, final

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry, sdpa_backward_flop_count, sdpa_flop_count

from inrkit.config.resolve import Resolved
from inrkit.core.modality import Modality
from inrkit.core.noise import T_MAX
from inrkit.core.pipeline import Pipeline
from inrkit.machine.processes import Ranks
from inrkit.training.trial import cost_of_training


@final
class Operations(TorchDispatchMode):
    """Counts the operations of matrix products and convolutions; torch's FlopCounterMode, less its tracking of
    modules, and with the processors' fused attention, which torch leaves out."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's own is not annotated
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        packet = func._overloadpacket
        if packet in flop_registry:
            self.total += flop_registry[packet](*args, **(kwargs or {}), out_val=out)
        elif packet is torch.ops.aten._scaled_dot_product_flash_attention_for_cpu:
            self.total += sdpa_flop_count(*(x.shape for x in args[:3]))
        elif packet is torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward:
            self.total += sdpa_backward_flop_count(*(x.shape for x in args[:4]))
        return out


def operations(run: Callable[[], object]) -> int:
    """Operations in the matrix products of a run, forward and backward; a multiplication and an addition are two."""
    with Operations() as counter:
        run()
    return int(counter.total)


@torch.no_grad()
def of_sample(pipeline: Pipeline, modality: Modality) -> float:
    """Operations of one generated signal in one step, shown where the modality's template is."""
    template = modality.template(1).to(next(pipeline.parameters()).device)
    level = torch.full((1,), T_MAX, device=template.values.device)
    return float(operations(lambda: pipeline(template, level)))


def of_training(resolved: Resolved) -> float:
    """Operations of the whole run, from one step in the middle of each phase; the optimizer's are among them."""
    resolved = resolved.evolve(device="cpu", accumulate=1, workers=0)
    return cost_of_training(resolved, Ranks(), torch.device("cpu"), "fp32", 0.5, operations)
