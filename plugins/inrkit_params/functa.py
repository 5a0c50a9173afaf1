"""Encoding by a few steps of gradient descent from a learned start (functa, arXiv:2201.12204)."""

from collections.abc import Mapping
from typing import Self, final

import attrs
import torch
from torch import Tensor, nn

from inrkit import Denoiser, Level, Measure, Observation, Params, UsageError, full_precision, option


@attrs.frozen
class FunctaOptions:
    """Options of the denoiser ``functa``."""

    steps: int = option(3, "gradient-descent steps of the inner loop, in which a signal is encoded")
    rate: float = option(1.0, "initial learning rate of the inner loop; learned per entry (meta-SGD)")


@final
class Functa(Denoiser):
    """β ← β - rate ∇ ½ ||T(M_β) - O||², with a learned start and learned rates (meta-SGD, arXiv:1707.09835).

    It has no network of its own: with the objective ``reconstruction`` the shared weights of the function learn to be
    fitted quickly. The squared distance is summed over channels and averaged over places. It reads clean signals; to
    generate, a second stage learns from what it encoded.
    """

    Options = FunctaOptions

    def __init__(self, options: FunctaOptions, shapes: Mapping[str, tuple[int, ...]], measure: Measure) -> None:
        super().__init__()
        self.names, self.steps = tuple(shapes), options.steps
        self.start = nn.ParameterList(torch.zeros(shape) for shape in shapes.values())
        self.rate = nn.ParameterList(torch.full(shape, options.rate) for shape in shapes.values())
        self.measure = measure

    @classmethod
    def build(
        cls,
        options: FunctaOptions,
        *,
        template: Observation,
        shapes: Mapping[str, tuple[int, ...]],
        classes: int,
        measure: Measure | None,
    ) -> Self:
        if classes:
            raise UsageError("'functa' fits signals and learns no classes (got 'classes' > 0); leave that to stage two")
        if measure is None:
            raise UsageError("'functa' fits params to signals, and the modality does not say how they are measured")
        return cls(options, shapes, measure)

    def forward(self, observation: Observation, level: Level, label: Tensor | None = None) -> Params:
        rows, device = len(observation), observation.values.device
        t = torch.exp(4 * level.noise_level)
        scale = self.measure.preconditioning.c_in(t).reshape(-1, *[1] * (observation.values.ndim - 1))
        target, clean = observation.values / scale, torch.zeros(rows, device=device)
        # The descent is part of the answer, so it needs gradients even where the caller wants none, and in fp32.
        with torch.enable_grad(), full_precision(device):
            values = [start.expand(rows, *start.shape).clone().requires_grad_() for start in self.start]
            for _ in range(self.steps):
                shown = self.measure(dict(zip(self.names, values, strict=True)), observation.where, clean)
                distance = 0.5 * (shown - target.to(shown)).square().flatten(2).mean(2).sum()
                slopes = torch.autograd.grad(distance, values, create_graph=self.training)
                values = [value - rate * slope for value, rate, slope in zip(values, self.rate, slopes, strict=True)]
                if not self.training:
                    values = [value.detach().requires_grad_() for value in values]
        if not self.training:
            values = [value.detach() for value in values]
        return dict(zip(self.names, values, strict=True))
