"""Operations are counted as the mathematics has them."""

import pytest
import torch
from torch.nn import functional as F
from toy import ToyModality

from inrkit.comparison.operations import of_sample, of_training
from inrkit.config.resolve import resolve
from inrkit.machine.speed import operations


def test_a_product_and_its_gradients_are_counted() -> None:
    """A product of (2, 3) and (3, 5) takes 2 · 2 · 3 · 5 operations, its gradient for both factors twice as many."""
    a, b = torch.ones(2, 3, requires_grad=True), torch.ones(3, 5, requires_grad=True)
    assert operations(lambda: a @ b) == 60
    assert operations(lambda: (a @ b).sum().backward()) == 180


def test_fused_attention_is_counted_like_its_products() -> None:
    """q kᵀ and the sum over v: two products of (N, E) by (E, M), whichever kernel computes them."""
    q, k, v = (torch.randn(2, 3, n, 8, requires_grad=True) for n in (5, 7, 7))
    assert operations(lambda: F.scaled_dot_product_attention(q, k, v)) == 2 * 2 * (2 * 3) * 5 * 7 * 8
    both = operations(lambda: F.scaled_dot_product_attention(q, k, v).sum().backward())
    assert both > 2 * operations(lambda: F.scaled_dot_product_attention(q, k, v))


def test_training_grows_with_steps_and_batch_and_disturbs_nothing() -> None:
    """Twice the steps, or about twice the batch, is twice the work; no random state is touched."""
    state = torch.get_rng_state()
    resolved = resolve(ToyModality, flags={"objective": "ect", "batch_size": 16, "steps": 10})
    once = of_training(resolved)
    assert of_training(resolved.evolve(steps=20)) == pytest.approx(2 * once, rel=0.25)
    assert of_training(resolved.evolve(batch_size=32)) == pytest.approx(2 * once, rel=0.25)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_training_step_is_more_than_three_samples() -> None:
    """Forward and backward for every signal of the batch, at the least, beside what all signals of a batch share."""
    resolved = resolve(ToyModality, flags={"objective": "ect", "batch_size": 16, "steps": 10})
    pipeline = resolved.modality.build(resolved.readout)
    batch, levels = resolved.modality.template(16), torch.full((16,), 80.0)
    with torch.no_grad():
        samples = operations(lambda: pipeline(batch, levels))
    assert samples <= 16 * of_sample(pipeline, resolved.modality)
    assert of_training(resolved) >= 0.9 * 3 * 10 * samples
