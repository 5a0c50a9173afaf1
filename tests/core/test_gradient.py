"""The gradient of a step, taken apart by loss and by noise level."""

import itertools

import pytest
import torch
from gaussian import batch_of, transformer_pipeline

from inrkit import (
    DirectReadout,
    Draws,
    Ect,
    Inrct,
    Loss,
    Objective,
    SigmoidPairing,
    Step,
    gradient_norms,
    gradient_shares,
)
from inrkit.core.gradient import LEVELS


def step_of(pipeline, rows: int = 40) -> Step:
    values = torch.randn(rows, 1, 8, generator=torch.Generator().manual_seed(1))
    return Step(pipeline, pipeline, batch_of(values), Draws(3, rows), 0.6)


def test_norms_are_those_of_the_rows_alone() -> None:
    """ECT with a weight per row that is 0 outside of a span of levels has that part's gradient, dropout and all."""
    pipeline = transformer_pipeline(DirectReadout(), dropout=0.3)
    objective = Ect(curriculum=SigmoidPairing(stages=4))
    norms = gradient_norms(objective, step_of(pipeline), pipeline.parameters())
    t = torch.exp(Draws(3, 40).normal() * 2 - 1.1)
    for low, high in itertools.pairwise(LEVELS):
        index = ((low <= t) & (t < high)).nonzero().squeeze(1)
        singles = [objective.loss(step_of(pipeline).part(torch.tensor([i]))).total / 40 for i in index.tolist()]
        grads = torch.autograd.grad(torch.stack(singles).sum(), list(pipeline.parameters()), allow_unused=True)
        expected = torch.nn.utils.get_total_norm([grad for grad in grads if grad is not None])
        assert norms[f"gene/{low:g}-{high:g}"] == pytest.approx(float(expected), rel=1e-4)
    assert all(p.grad is None for p in pipeline.parameters())


def test_each_loss_counts_with_its_factor() -> None:
    """Ten times λ is ten times the norm, for that loss alone; a loss of factor 0 has no part."""
    pipeline = transformer_pipeline()

    def measured(recon: float, diff: float) -> dict[str, float]:
        objective = Inrct(lambda_recon=recon, lambda_diff=diff, t_diff=0.3)
        return gradient_norms(objective, step_of(pipeline), pipeline.parameters())

    one, ten = measured(1.0, 0.0), measured(10.0, 0.5)
    assert ten["recon/clean"] == pytest.approx(10 * one["recon/clean"], rel=1e-4)
    assert ten["gene/0.3-1"] == pytest.approx(one["gene/0.3-1"], rel=1e-4)
    assert not any(name.startswith("diff") for name in one)
    assert {"diff/0-0.1", "diff/0.1-0.3"} <= ten.keys()
    assert not any(name.startswith("recon") for name in measured(0.0, 0.0))
    assert sum(gradient_shares(ten).values()) == pytest.approx(1)


class Silent(Objective):
    """Does not say at which levels its rows are."""

    name = "silent"

    def loss(self, step: Step) -> Loss:
        return Loss(step.student(step.batch.support, torch.ones(len(step.batch))).signal.mean(), {})


def test_an_objective_without_levels_is_not_measured() -> None:
    """No part can be told from another."""
    pipeline = transformer_pipeline()
    assert gradient_norms(Silent(), step_of(pipeline), pipeline.parameters()) == {}
