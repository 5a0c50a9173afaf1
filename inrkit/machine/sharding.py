"""Weights of which every process holds some rows (FSDP2), and work on matrices that the processes divide among them."""

from collections.abc import Callable, Iterable, Iterator

import torch
import torch.distributed as dist
from torch import Tensor, nn

from inrkit.core.shard import is_sharded, part_of
from inrkit.machine.processes import Ranks


def shard(network: nn.Module, device: torch.device) -> None:
    """Divides the weights of a network over all processes, in place, and moves them to the device.

    What a block of a `ModuleList` needs is gathered while the block computes; all else while the network does. Weights
    that are a single number stay whole.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    single = {weight for weight in network.parameters() if weight.ndim == 0}
    for module in (*_blocks(network), network):
        fully_shard(module, mesh=mesh, reshard_after_forward=True, ignored_params=single)
    network.to(device)


def _blocks(module: nn.Module) -> Iterator[nn.Module]:
    """The outermost elements of lists of modules."""
    for child in module.children():
        if not isinstance(module, nn.ModuleList) or isinstance(child, nn.ModuleList | nn.ModuleDict):
            yield from _blocks(child)
        elif next(child.parameters(), None) is not None:
            yield child


def average_whole(ranks: Ranks, weights: Iterable[nn.Parameter]) -> None:
    """Replaces the gradients of weights that are not sharded by their means over all processes."""
    gradients = [weight.grad for weight in weights if weight.grad is not None and not is_sharded(weight)]
    if gradients:
        flat = ranks.sum(torch.cat([gradient.flatten() for gradient in gradients])) / ranks.world
        for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(mean.view_as(gradient))


def norm_of(ranks: Ranks, gradients: list[Tensor]) -> Tensor:
    """The norm of all gradients together, of which some are sharded."""
    kinds = [[part_of(g) for g in gradients if is_sharded(g) is sharded] for sharded in (True, False)]
    ours, common = (torch.nn.utils.get_total_norm(kind).double().square() for kind in kinds)
    return (ranks.sum(ours) + common).sqrt().float()


def divided(ranks: Ranks, parts: Tensor, height: int, work: Callable[[Tensor], Tensor], *, sharded: bool) -> Tensor:
    """What ``work`` makes of matrices (B, height, n), each process having worked on its share of them.

    Args:
        parts: The rows that are here, (B, rows, n), of sharded matrices; else all of them.
    """
    if ranks.world == 1:
        return work(parts)
    share = -(-len(parts) // ranks.world)
    count = max(0, min(share, len(parts) - ranks.rank * share))
    high = -(-height // ranks.world) if sharded else height
    sent = parts.new_zeros(ranks.world * share if sharded else share, high, parts.shape[2])
    if not sharded:
        ours = parts[ranks.rank * share :][:count]
        sent[:count] = work(ours) if count else ours
        everything = sent.new_empty(ranks.world * share, *sent.shape[1:])
        dist.all_gather(list(everything.chunk(ranks.world)), sent)
        return everything[: len(parts)]
    # The rows of each matrix go to the process that works on it, and come back.
    sent[: len(parts), : parts.shape[1]] = parts
    received = torch.empty_like(sent)
    dist.all_to_all_single(received, sent)
    by_process = received.unflatten(0, (ranks.world, share)).transpose(0, 1)  # (share, world, high, n)
    matrices = by_process.reshape(share, ranks.world * high, -1)
    matrices[:count, :height] = work(matrices[:count, :height]) if count else matrices[:count, :height]
    sent.copy_(matrices.unflatten(1, (ranks.world, high)).transpose(0, 1).flatten(0, 1))
    dist.all_to_all_single(received, sent)
    return received[: len(parts), : parts.shape[1]]
