"""The dropout mask of a row depends on the seed, the layer and the row's global number, and on nothing else."""

import pytest
import torch
from gaussian import batch_of, transformer_pipeline
from torch import Tensor, nn

from inrkit import Draws, SharedDropout, Step, shared_dropout
from inrkit.core.objective.pair import consistency_pair
from inrkit.errors import UsageError

ROWS = torch.arange(6)


def masks(rows: Tensor, seed: int = 0, total: int = 6, p: float = 0.5) -> list[Tensor]:
    """What two dropout layers make of ones."""
    layers = nn.ModuleList([SharedDropout(p), SharedDropout(p)]).train()
    with shared_dropout(seed, total, rows):
        return [layer(torch.ones(len(rows), 4, 8)) for layer in layers]


def test_two_passes_share_the_mask() -> None:
    """Law: student and teacher drop the same elements."""
    assert all(torch.equal(a, b) for a, b in zip(masks(ROWS), masks(ROWS), strict=True))


@pytest.mark.parametrize("index", [[4], [1, 3], [5, 0, 2], [0, 1, 2, 3, 4, 5]])
def test_teacher_on_fewer_rows_shares_the_mask(index: list[int]) -> None:
    """Law: a row's mask does not depend on which rows come with it, nor on their order."""
    for part, whole in zip(masks(torch.tensor(index)), masks(ROWS), strict=True):
        assert torch.equal(part, whole[index])


def test_layers_seeds_and_rows_differ() -> None:
    """Law: other layers, seeds and rows get other masks."""
    first, second = masks(ROWS)
    assert not torch.equal(first, second)
    assert not torch.equal(first, masks(ROWS, seed=1)[0])
    assert not torch.equal(first[0], first[1])


def test_expectation_is_kept() -> None:
    """What is kept is scaled by 1 / (1 - p), so that the mean stays one and a share p is dropped."""
    layer = SharedDropout(0.2).train()
    rows = torch.arange(500)
    with shared_dropout(0, 500, rows):
        x = layer(torch.ones(500, 40))
    assert set(x.unique().tolist()) == {0.0, 1.25}
    assert float(x.mean()) == pytest.approx(1, abs=0.02)


def test_evaluation_and_zero_drop_nothing() -> None:
    """Law: in evaluation, and with p = 0, dropout is the identity."""
    x = torch.randn(6, 3)
    with shared_dropout(0, 6, ROWS):
        assert SharedDropout(0.5).eval()(x) is x
        assert SharedDropout(0.0).train()(x) is x


def test_ordinary_dropout_outside() -> None:
    """Without a shared seed it is dropout as usual."""
    torch.manual_seed(0)
    first, second = (SharedDropout(0.5).train()(torch.ones(50, 4)) for _ in range(2))
    assert not torch.equal(first, second)


def test_context_ends() -> None:
    """Law: the shared masks end with the block, an error included, and inner blocks give way to outer ones."""
    layer = SharedDropout(0.5).train()
    with shared_dropout(0, 6, ROWS):
        with shared_dropout(1, 6, ROWS):
            layer(torch.ones(6, 3))
        assert torch.equal(layer(torch.ones(6, 4, 8)), masks(ROWS)[0])
    with pytest.raises(ZeroDivisionError), shared_dropout(0, 6, ROWS):
        raise ZeroDivisionError
    torch.manual_seed(0)
    a, b = layer(torch.ones(30)), layer(torch.ones(30))
    assert not torch.equal(a, b)


@pytest.mark.parametrize("p", [-0.1, 1.0, 2.0])
def test_impossible_share_is_refused(p: float) -> None:
    """p must be at least 0 and below 1."""
    with pytest.raises(UsageError, match="'p' must be"):
        SharedDropout(p)


def test_global_random_state_is_left_alone() -> None:
    """Law: shared masks do not touch torch's global generator."""
    before = torch.get_rng_state()
    masks(ROWS)
    assert torch.equal(torch.get_rng_state(), before)


def test_pair_of_a_transformer_shares_masks() -> None:
    """Law: with r = t the target is the student's own prediction, also where the teacher skips rows with r = 0."""
    pipeline = transformer_pipeline(dropout=0.5).train()
    batch = batch_of(torch.randn(6, 1, 8))
    t = torch.linspace(0.5, 3, 6)
    r = t.masked_fill(torch.tensor([False, True, False, False, True, False]), 0)
    prediction, target = consistency_pair(Step(pipeline, pipeline, batch, Draws(3, 6)), t, r)
    same = r > 0
    assert torch.allclose(prediction.observation.values[same], target[same], atol=1e-6)
    assert torch.equal(target[~same], batch.query.values[~same])
    other, _ = consistency_pair(Step(pipeline, pipeline, batch, Draws(4, 6)), t, r)
    assert not torch.allclose(other.observation.values, prediction.observation.values)
