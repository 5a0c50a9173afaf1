"""Which signals a step has: every one once an epoch, whoever reads them."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inrkit.errors import UsageError
from inrkit.training.order import Order, Rows

counts, sizes, seeds = st.integers(1, 40), st.integers(1, 24), st.integers(0, 2**63 - 1)


@given(counts, sizes, seeds)
def test_every_epoch_has_every_signal_once(count: int, size: int, seed: int) -> None:
    """Whatever the batch size, also when batches straddle epochs."""
    order, epochs = Order(count, size, seed), 3
    steps = -(-epochs * count // size)
    numbers = [number for step in range(steps) for number in order.numbers(step)]
    for epoch in range(epochs):
        assert sorted(numbers[epoch * count : (epoch + 1) * count]) == list(range(count))


@given(counts, seeds, st.integers(1, 4), st.integers(1, 3), st.integers(1, 4), st.integers(0, 9))
def test_ranks_and_micro_batches_divide_a_step(
    count: int, seed: int, world: int, accumulate: int, each: int, step: int
) -> None:
    """Together, and in order, they have exactly the step's signals; no row twice."""
    total = world * accumulate * each
    parts = [part for rank in range(world) for part in Rows(total, rank, world, accumulate)]
    assert [row for start, stop in parts for row in range(start, stop)] == list(range(total))
    order = Order(count, total, seed)
    assert [n for part in parts for n in order.numbers(step, *part)] == order.numbers(step)


def test_a_step_does_not_depend_on_those_before() -> None:
    """A pure function of the step: forwards, backwards, in another process."""
    forwards, backwards = Order(10, 4, 1), Order(10, 4, 1)
    expected = [forwards.numbers(step) for step in range(20)]
    assert [backwards.numbers(step) for step in reversed(range(20))] == expected[::-1]
    assert Order(10, 4, 2).numbers(0) != expected[0] or Order(10, 4, 2).numbers(1) != expected[1]


def test_epochs_are_shuffled_differently() -> None:
    """Otherwise the same signals would always meet."""
    order = Order(32, 32, 0)
    assert len({tuple(order.numbers(step)) for step in range(5)}) == 5


def test_rows_draw_what_a_single_process_would() -> None:
    """The draws of the parts, joined, are those of the whole."""
    device = torch.device("cpu")
    whole = Rows(8).draws(3, (0, 8), device).normal(2)
    parts = [Rows(8, rank, 2, 2).draws(3, part, device).normal(2) for rank in range(2) for part in Rows(8, rank, 2, 2)]
    torch.testing.assert_close(torch.cat(parts), whole, rtol=0, atol=0)


def test_unequal_parts_and_empty_data_are_refused() -> None:
    """Said before the first step."""
    with pytest.raises(UsageError, match="multiple"):
        Rows(10, 0, 4)
    with pytest.raises(UsageError, match="at least one"):
        Order(0, 4, 0)
