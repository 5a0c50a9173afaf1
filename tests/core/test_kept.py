"""What is costly and always the same is computed once, while there is room."""

import pickle
from collections.abc import Sequence

import torch

from inrkit import Kept

CALLS: list[list[int]] = []


def rows(keys: Sequence[int]) -> torch.Tensor:
    """A row of four numbers, 16 bytes, for each key."""
    CALLS.append(list(keys))
    return torch.tensor(keys, dtype=torch.float32)[:, None].expand(-1, 4)


def test_a_row_is_computed_once() -> None:
    """In the order that is asked for, repeated keys included; only what is missing is computed."""
    CALLS.clear()
    kept = Kept[int](rows)
    assert kept([3, 1, 3])[:, 0].tolist() == [3, 1, 3]
    assert kept([2, 1])[:, 0].tolist() == [2, 1]
    assert CALLS == [[1, 3], [2]]


def test_no_more_than_the_room_is_kept() -> None:
    """What finds no room is right all the same, and computed again."""
    CALLS.clear()
    kept = Kept[int](rows, most=3 * 16)
    for _ in range(2):
        assert kept([4, 0, 2, 1, 3])[:, 0].tolist() == [4, 0, 2, 1, 3]
    assert len(kept) == 3
    assert CALLS == [[0, 1, 2, 3, 4], [3, 4]]


def test_workers_begin_empty() -> None:
    """What was kept does not travel."""
    kept = Kept[int](rows)
    kept([1, 2])
    assert len(pickle.loads(pickle.dumps(kept))) == 0
    assert len(kept) == 2
