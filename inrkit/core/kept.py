"""A bounded memory for what is costly to compute and always comes out the same, such as signals that are drawn."""

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar, final

import torch
from torch import Tensor

Key = TypeVar("Key", int, tuple[int, int])

MOST = 256 << 20
"""Bytes that are kept unless said otherwise: 87,000 arrays of 32 x 32 in bytes."""


@final
class Kept(Generic[Key]):
    """Tensors by number, computed when they are first asked for, and kept while there is room.

    What finds no room is computed each time: data that are read in another order every epoch gain nothing by dropping
    some for others. What is pickled, for a worker that reads data, is empty.

    Args:
        compute: From keys, ascending, to a tensor with a row for each. Law: a row depends on its key alone.
        most: Bytes to keep.
    """

    def __init__(self, compute: Callable[[Sequence[Key]], Tensor], most: int = MOST) -> None:
        self.compute: Callable[[Sequence[Key]], Tensor] = compute
        self.most = most
        self._rows: dict[Key, Tensor] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._rows)

    def __call__(self, keys: Sequence[Key]) -> Tensor:
        """The rows of these keys, in this order."""
        missing = sorted(set(keys) - self._rows.keys())
        new = dict(zip(missing, self.compute(missing), strict=True)) if missing else {}
        found = torch.stack([new[key] if key in new else self._rows[key] for key in keys])
        each = found[0].nbytes
        room = max(0, self.most - self._bytes) // max(1, each)
        if room >= len(new):
            self._rows.update(new)
        else:  # copies, for a part of a tensor would hold on to all of it
            new = {key: new[key].clone() for key in missing[:room]}
            self._rows.update(new)
        self._bytes += min(room, len(new)) * each
        return found

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_rows": {}, "_bytes": 0}
