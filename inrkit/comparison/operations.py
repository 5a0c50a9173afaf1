"""Operations that a system computes: systems are compared at equal ones."""

import torch

from inrkit.config.resolve import Resolved
from inrkit.core.modality import Modality
from inrkit.core.noise import T_MAX
from inrkit.core.pipeline import Pipeline
from inrkit.machine.processes import Ranks
from inrkit.machine.speed import operations
from inrkit.training.trial import cost_of_training


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
