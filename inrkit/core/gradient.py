"""What pulls on a network: the gradient of a step, taken apart by noise level and by loss.

Clipping and optimizers such as Adam and Muon forget the gradient's length, so what a network learns from is decided by
*shares*: the norm of each part over the sum of all norms. Consistency is a chain that begins at small noise levels; a
recipe whose gradient comes from large ones alone cannot work.
"""

import itertools
import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from inrkit.core.objective.base import Objective, Step

LEVELS = (0.0, 0.1, 0.3, 1.0, 3.0, math.inf)
"""Between which noise levels rows are taken together; clean ones, of t = 0, are apart."""


def gradient_norms(
    objective: Objective, step: Step, parameters: Iterable[nn.Parameter], t: Tensor | None = None
) -> dict[str, float]:
    """The norm of each part of the gradient of a step's loss, by "LOSS/LEVELS": "gene/0.1-0.3", "recon/clean".

    The parts add up to the gradient of the step, their norms do not. Parts without a gradient are left out, and so are
    all of them where the objective does not say what its rows' noise levels are. ``grad`` of the weights is left alone.

    Args:
        t: The noise levels of the rows, (B,), where they are known from a pass over the same step.
    """
    if t is None:
        with torch.no_grad():
            t = objective.loss(step.part(torch.arange(len(step.batch), device=step.draws.device))).t
    if t is None:
        return {}
    weights, norms = [p for p in parameters if p.requires_grad], dict[str, float]()
    names: list[str] = []
    for band, index in _bands(t).items():
        factors, number = {"": 1.0}, 0
        while number < len(factors):  # a pass for each loss: the graph of a compiled network is good for one of them
            loss = objective.loss(step.part(index))
            terms = {name: term for name, term in loss.terms.items() if term.requires_grad} or {"loss": loss.total}
            names, factors = list(terms), _factors(loss.total, terms)
            for name, factor in list(factors.items())[number : number + 1]:
                norms[f"{name}/{band}"] = factor * _norm(terms[name], weights) * len(index) / len(t)
            number += 1
    return dict(sorted(norms.items(), key=lambda item: names.index(item[0].partition("/")[0])))


def gradient_shares(norms: Mapping[str, float]) -> dict[str, float]:
    """Each norm over the sum of all."""
    total = sum(norms.values())
    return {name: norm / total for name, norm in norms.items()} if total else {}


def _factors(total: Tensor, terms: Mapping[str, Tensor]) -> dict[str, float]:
    """What each term that these rows have is multiplied by in the whole loss."""
    found = torch.autograd.grad(total, list(terms.values()), retain_graph=True, allow_unused=True)
    pairs = zip(terms.items(), found, strict=True)
    return {name: abs(float(by)) for (name, term), by in pairs if by is not None and float(by * term.detach())}


def _norm(term: Tensor, weights: list[nn.Parameter]) -> float:
    grads = torch.autograd.grad(term, weights, allow_unused=True)
    return float(torch.nn.utils.get_total_norm([grad for grad in grads if grad is not None]))


def _bands(t: Tensor) -> dict[str, Tensor]:
    """Numbers of rows by where their noise level lies, only where there are any."""
    found = {"clean": t == 0}
    for low, high in itertools.pairwise(LEVELS):
        found[f"{low:g}-{high:g}"] = (t >= low) & (t < high) & (t > 0)
    return {name: rows.nonzero().squeeze(1) for name, rows in found.items() if rows.any()}
