"""Several processes, as torchrun starts them, that learn as one does at the same global batch."""

import contextlib
import gc
import os
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, final

import attrs
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from inrkit.errors import InrkitError
from inrkit.machine.precision import choose_device
from inrkit.machine.signals import ended_at_once

T = TypeVar("T")


@final
@attrs.frozen
class Ranks:
    """Who we are among the processes of a run. With one process everything here does nothing."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0

    @property
    def first(self) -> bool:
        """Whether we are the one that writes files."""
        return self.rank == 0

    def barrier(self) -> None:
        """Waits for all."""
        if self.world > 1:
            dist.barrier()

    def sum(self, numbers: Tensor) -> Tensor:
        """Numbers on the CPU, summed over all processes."""
        if self.world > 1:
            dist.all_reduce(numbers)
        return numbers

    def gather(self, value: T) -> list[T]:
        """Everybody's value, in order of rank, to everybody."""
        values: list[Any] = [value] * self.world
        if self.world > 1:
            dist.all_gather_object(values, value)
        return values

    def broadcast(self, make: Callable[[], T]) -> T:
        """What the first process makes, to everybody; if it cannot, everybody raises its error."""
        values: list[Any] = [None, None]
        if self.first:
            try:
                values[0] = make()
            except InrkitError as error:
                values[1] = error
        if self.world > 1:
            dist.broadcast_object_list(values, src=0)
        if values[1] is not None:
            raise values[1]
        result: T = values[0]
        return result

    def wrap(self, pipeline: nn.Module) -> nn.Module:
        """A module whose gradients are means over all processes; the pipeline itself when we are alone."""
        return pipeline if self.world == 1 else DistributedDataParallel(pipeline, gradient_as_bucket_view=True)


@contextlib.contextmanager
def joined(device: str = "auto") -> Iterator[Ranks]:
    """Joins the processes that torchrun started, as its environment says; alone without it.

    The store's prefix carries the attempt's number, so that processes restarted after a failure do not read the
    addresses of dead ones.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1 or dist.is_initialized():
        yield Ranks(dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else Ranks()
        return
    local = int(os.environ.get("LOCAL_RANK", "0"))
    place = choose_device(device, local)
    backend = "gloo"
    if place.type != "cpu":
        torch.accelerator.set_device_index(place.index or 0)
        backend = f"cpu:gloo,{place.type}:{dist.get_default_backend_for_device(place)}"
    with ended_at_once():  # while processes wait for others
        store, rank, world = next(rendezvous("env://"))
        attempt = PrefixStore(f"attempt_{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)
        dist.init_process_group(backend, store=attempt, rank=rank, world_size=world)
    try:
        yield Ranks(rank, world, local)
    finally:
        # Destroying the group waits for its threads, possibly with the interpreter's lock held; a thread that is just
        # letting go of a tensor of the last exchange needs that lock. So drop what holds the group and let them end.
        gc.collect()
        time.sleep(0.05)
        dist.destroy_process_group()
