"""Tensors of which each process holds some rows: `torch.distributed.tensor.DTensor`, as FSDP2 makes of weights.

Everything that is done element by element is done to the rows that are here, as to any other tensor.
"""

from typing import Any

from torch import Tensor


def is_sharded(tensor: Tensor) -> bool:
    """Whether other processes hold the rest of it."""
    return hasattr(tensor, "full_tensor")


def part_of(tensor: Tensor) -> Tensor:
    """The rows that are here, in the same memory; all of an ordinary tensor."""
    sharded: Any = tensor
    part: Tensor = sharded.to_local() if is_sharded(tensor) else tensor
    return part


def whole(tensor: Tensor) -> Tensor:
    """All of it. Every process calls this, in the same order."""
    sharded: Any = tensor
    full: Tensor = sharded.full_tensor() if is_sharded(tensor) else tensor
    return full


def rows_of(full: Tensor, tensor: Tensor) -> Tensor:
    """Of something whole, the rows that are here of ``tensor``."""
    if not is_sharded(tensor):
        return full
    sharded: Any = tensor
    most = -(-len(tensor) // sharded.device_mesh.size())  # but for the last processes, which hold fewer or none
    first = min(len(tensor), most * sharded.device_mesh.get_local_rank())
    return full[first : first + len(part_of(tensor))]


def like(tensor: Tensor, part: Tensor) -> Tensor:
    """Rows of something of the shape of ``tensor``, and sharded as it is."""
    sharded: Any = tensor
    if not is_sharded(tensor):
        return part
    kind: Any = type(tensor.detach())
    joined: Tensor = kind.from_local(
        part, sharded.device_mesh, sharded.placements, run_check=False, shape=tensor.shape, stride=tensor.stride()
    )
    return joined
