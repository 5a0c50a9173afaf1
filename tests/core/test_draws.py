"""Random numbers belong to rows of the global batch, not to processes or micro-batches."""

import itertools

import pytest
import torch

from inrkit import Draws, seed_of


def a_bit_of_everything(draws: Draws) -> list[torch.Tensor]:
    """What a training step draws, in order."""
    shared = [draws.shared_normal(5), draws.shared_choice(3, 9)]
    per_row = [draws.normal(), draws.uniform(2), draws.normal(3, 4), draws.uniform()]
    return [*per_row, *shared]


@pytest.mark.parametrize("cuts", [(0, 8), (0, 4, 8), (0, 1, 3, 8), tuple(range(9))])
def test_split_draws_give_the_same_numbers(cuts: tuple[int, ...]) -> None:
    """Law: every row gets the same numbers however the batch is split."""
    whole = a_bit_of_everything(Draws(7, 8))
    parts = [a_bit_of_everything(Draws(7, 8, start=a, stop=b)) for a, b in itertools.pairwise(cuts)]
    for number, expected in enumerate(whole):
        found = [part[number] for part in parts]
        if number < 4:
            assert torch.equal(torch.cat(found), expected)
        else:
            assert all(torch.equal(one, expected) for one in found)


def test_same_seed_same_numbers() -> None:
    """Law: equal seeds give equal streams, different seeds different ones."""
    same, other = a_bit_of_everything(Draws(3, 4)), a_bit_of_everything(Draws(4, 4))
    assert all(torch.equal(a, b) for a, b in zip(a_bit_of_everything(Draws(3, 4)), same, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(same[:4], other[:4], strict=True))


def test_stream_moves_on() -> None:
    """Two draws in a row are different numbers."""
    draws = Draws(0, 4)
    assert not torch.equal(draws.normal(), draws.normal())


def test_fork_does_not_disturb_its_parent() -> None:
    """Law: forking neither advances the stream nor depends on how far it has come."""
    plain, forked = Draws(5, 6), Draws(5, 6)
    early = forked.fork("a").normal(3)
    assert torch.equal(plain.normal(2), forked.normal(2))
    assert torch.equal(forked.fork("a").normal(3), early)


def test_forks_are_independent() -> None:
    """Law: a fork's numbers are uncorrelated with its parent's and with another fork's."""
    draws = Draws(5, 4000)
    streams = torch.stack([draws.fork("a").normal(), draws.fork("b").normal(), draws.normal()])
    correlation = torch.corrcoef(streams) - torch.eye(3)
    assert correlation.abs().max() < 0.06


def test_fork_splits_like_its_parent() -> None:
    """Law: forks of parts are the parts of the fork."""
    whole = Draws(5, 6).fork("x").normal(2)
    parts = [Draws(5, 6, start=a, stop=b).fork("x").normal(2) for a, b in ((0, 2), (2, 6))]
    assert torch.equal(torch.cat(parts), whole)


def test_rows_are_numbered_globally() -> None:
    """A part knows which rows of the global batch it holds."""
    draws = Draws(0, 10, start=4, stop=7)
    assert draws.rows.tolist() == [4, 5, 6]
    assert len(draws) == 3
    assert len(Draws(0, 10)) == 10


def test_shared_choice_is_a_sorted_subset() -> None:
    """Law: as many different numbers as asked for, ascending, below the total; all of them if all are asked for."""
    chosen = Draws(1, 2).shared_choice(5, 12)
    assert chosen.tolist() == sorted(set(chosen.tolist()))
    assert len(chosen) == 5
    assert chosen.min() >= 0
    assert chosen.max() < 12
    assert Draws(1, 2).shared_choice(6, 6).tolist() == list(range(6))


def test_moments() -> None:
    """Normal numbers have mean 0 and variance 1, uniform ones lie in [0, 1) around 1/2."""
    draws = Draws(0, 20_000)
    normal, uniform = draws.normal(), draws.uniform()
    assert abs(normal.mean()) < 0.03
    assert abs(normal.var() - 1) < 0.03
    assert abs(uniform.mean() - 0.5) < 0.01
    assert uniform.min() >= 0
    assert uniform.max() < 1


def test_global_random_state_is_left_alone() -> None:
    """Law: drawing neither reads nor moves torch's global generator."""
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = a_bit_of_everything(Draws(2, 3))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(a_bit_of_everything(Draws(2, 3))[0], first[0])


def test_seed_of_depends_on_every_part() -> None:
    """Law: other parts, another order or other types give another seed; a seed fits a signed 64-bit number."""
    seeds = [seed_of(*parts) for parts in ((1, 2), (2, 1), (1, 2, 3), (12,), ("1", 2), ("1, 2",), ())]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert seed_of(1, "train", 2) == seed_of(1, "train", 2)


def test_a_part_has_the_numbers_of_its_rows() -> None:
    """From the beginning of the stream, whichever rows are chosen, and of parts of parts too."""
    whole, ours = Draws(5, 10), Draws(5, 10, start=2, stop=9)
    ours.normal()
    part = ours.part(torch.tensor([0, 3, 6]))
    assert torch.equal(part.normal(2), whole.normal(2)[[2, 5, 8]])
    assert torch.equal(part.on_host.uniform(), whole.uniform()[[2, 5, 8]])
    assert part.rows.tolist() == [2, 5, 8]
    assert len(part.part(torch.tensor([2]))) == 1
    again = ours.fork("x").part(torch.tensor([0, 3, 6])).part(torch.tensor([2]))
    assert torch.equal(again.normal(), Draws(5, 10).fork("x").normal()[[8]])
