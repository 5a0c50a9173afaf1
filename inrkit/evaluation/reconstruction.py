"""How well INRs of unseen signals show them: PSNR, SSIM, what else the modality counts, and larger renders."""

import math
from collections.abc import Sequence
from typing import Any, final

import torch
from torch import Tensor
from torch.nn import functional as F

from inrkit.config.resolve import Resolved
from inrkit.core.modality import Display
from inrkit.errors import DataError, UsageError
from inrkit.evaluation.every import EveryView
from inrkit.evaluation.names import RECONSTRUCTION
from inrkit.inference.given import places
from inrkit.inference.model import Model
from inrkit.inference.picture import enlarged, pictures_of, views_of
from inrkit.inference.signalset import SignalSet
from inrkit.metrics.feature import FeatureNetwork
from inrkit.metrics.metric import psnr, ssim
from inrkit.metrics.perceptual import perceptual_distance
from inrkit.progress import Progress

PEAK = 2.0
"""The width of the range of values, [-1, 1]."""

_BATCH = 100
_VALUES = 1 << 25  # values that are measured together, of truth and answers each
_PICTURES = 16  # whose feature maps are held at once
_AVERAGED = 1000
_FACTORS = (2, 4, 8)


@torch.no_grad()
def reconstruction_figures(
    signals: SignalSet,
    chosen: set[str],
    progress: Progress,
    networks: Sequence[FeatureNetwork] = (),
    every: EveryView | None = None,
) -> dict[str, Any]:
    """PSNR, SSIM and the modality's own figures over these signals, and the PSNR of the best constant answer; how
    different signals and INRs look to these networks.

    Args:
        every: Is shown all pictures, and says which training signal is nearest: its PSNR is then told too.
    """
    model = signals.model
    found: dict[str, list[float]] = {name: [] for name in RECONSTRUCTION if name in chosen}
    constant = constant_answer(model) if "psnr" in found else None
    for start, part in signals.parts(_at_once(signals)):
        encoded = part.encode()
        shown, truth = encoded.shown.clamp(-1, 1), encoded.truth
        if constant is not None:
            found["psnr"] += psnr(shown, truth, peak=PEAK).tolist()
            if all(n in (1, m) for n, m in zip(constant.shape, truth.shape, strict=True)):
                found.setdefault("constant", []).extend(psnr(constant.expand_as(truth), truth, peak=PEAK).tolist())
        if "ssim" in found:
            found["ssim"] += similarity(model, shown, truth).tolist()
        views = [(views_of(model, x) * 2 - 1).split(_PICTURES) for x in (shown, truth)] if networks or every else []
        for network in networks:
            apart = torch.cat([perceptual_distance(network, *pair) for pair in zip(*views, strict=True)])
            found.setdefault(distance_name(network), []).extend(apart.unflatten(0, (len(part), -1)).mean(1).tolist())
        if every is not None:
            every.add(*views)
            if "psnr" in found:
                found.setdefault("nearest", []).extend(
                    psnr(every.copied(start, part).clamp(-1, 1), truth, peak=PEAK).tolist()
                )
        for name, values in model.modality.display.metrics(shown, truth).items():
            found.setdefault(name, []).extend(values.tolist())
        progress(start + len(part), len(signals), "encoding")
    return {"count": len(signals)} | {name: distribution_of(values) for name, values in found.items() if values}


def _at_once(signals: SignalSet) -> int:
    """How many signals are measured together: a bounded number of values."""
    return max(1, min(_BATCH, _VALUES // signals[:1].observe().query.values[0].numel()))


def distance_name(network: FeatureNetwork) -> str:
    """ "LPIPS by alexnet ↓" with heads, "perceptual distance by resnet20 ↓" without."""
    return f"{'LPIPS' if network.heads else 'perceptual distance'} by {network.name} ↓"


def constant_answer(model: Model) -> Tensor:
    """The mean (1, C, ...) of training signals: what whoever has not seen a signal would best answer."""
    training = SignalSet.choose(model, "train", _AVERAGED, 0)
    return torch.cat([part.reference().values for _, part in training.parts(_BATCH)]).mean(0, keepdim=True)


def similarity(model: Model, shown: Tensor, truth: Tensor) -> Tensor:
    """SSIM of each picture where a signal has several, else of the values where they fill a window along every axis,
    else of their pictures, (B,)."""
    views = model.modality.display.views
    if type(model.modality.display).views is not Display.views:
        found = [ssim(views(a), views(b), peak=1).mean() for a, b in zip(shown.split(1), truth.split(1), strict=True)]
        return torch.stack(found)
    if 3 <= truth.ndim <= 5 and min(truth.shape[2:]) >= 11:
        return ssim(shown, truth, peak=PEAK, lowest=-1)
    return ssim(pictures_of(model, shown), pictures_of(model, truth), peak=1)


def resolution_figures(signals: SignalSet, progress: Progress) -> dict[str, Any]:
    """Of larger renders: PSNR between their averages over areas and the render at the size of training, for each
    factor; and, where the truth is known, PSNR from that.

    Empty for a modality that cannot be asked for a size. Averages do not say whether the larger render is sharp: a
    constant would agree with itself.
    """
    averaged: dict[int, list[float]] = {}
    true: dict[int, list[float]] = {}
    for start, one in signals.parts(1):
        renders = enlarged(one.model, one.encode().prediction, _FACTORS)
        for factor in renders.keys() - {1}:
            shown = renders[factor]
            averaged.setdefault(factor, []).append(float(psnr(F.avg_pool2d(shown, factor), renders[1], peak=1)))
            if (known := _truth_at(one, shown)) is not None:
                true.setdefault(factor, []).append(float(psnr(shown, known, peak=1)))
        progress(start + 1, len(signals), "rendering larger")
    found = {"resolution": averaged, "larger": true}
    return {
        name: {f"{factor}x": distribution_of(figures[factor]) for factor in sorted(figures)}
        for name, figures in found.items()
        if figures
    }


def _truth_at(signals: SignalSet, shown: Tensor) -> Tensor | None:
    """Pictures of the signals themselves, as large as what is shown of them; None where nobody knows them there."""
    model, (height, width) = signals.model, shown.shape[2:]
    where = places(model.modality, {"size": f"{width}x{height}"}, model.device, len(shown))[0]
    values = model.modality.display.truth(signals.source, signals.numbers, where)
    return None if values is None else pictures_of(model, values)


def distribution_of(values: Sequence[float]) -> dict[str, float]:
    """Mean, standard deviation and quantiles of what is finite (the PSNR of equal signals is not)."""
    x = torch.tensor(values, dtype=torch.float64)
    finite = x[x.isfinite()]
    if not len(finite):
        return {"finite": 0.0}
    low, middle, high = torch.quantile(finite, finite.new_tensor([0.05, 0.5, 0.95])).tolist()
    figures = {"mean": float(finite.mean()), "std": float(finite.std(correction=0))}
    return {"finite": len(finite) / len(x), **figures, "p5": low, "median": middle, "p95": high}


@final
class Score:
    """What is measured while training goes on, of how the first held-out signals are encoded; without any, nothing."""

    def __init__(self, resolved: Resolved, count: int = 64) -> None:
        try:
            self.source = resolved.source("test")
            self.count = min(count, len(self.source))
        except (DataError, UsageError):
            self.count = 0

    def measure(self, model: Model) -> dict[str, float]:
        """The mean PSNR of encodings, where signals are queried, and how much encodings differ from each other.

        Returns:
            "psnr"; and "variance_ratio", that of encodings among the signals over that of the signals themselves: about
            1, or 0 where a network answers the same for all of them. It is left out where there is one signal.
        """
        ratios: list[float] = []
        moments: list[Tensor] = []  # of encodings and of signals, place by place
        for _, part in SignalSet(model, self.source, range(self.count)).parts(16) if self.count else ():
            encoded = part.encode()
            ratios += psnr(encoded.shown, encoded.truth, peak=PEAK).tolist()
            both = torch.stack([encoded.shown, encoded.truth]).flatten(2).double()
            moments.append(torch.stack([both.sum(1), both.square().sum(1)]))
        if not ratios:
            return {}
        first, second = torch.stack(moments).sum(0) / len(ratios)
        shown, truth = (second - first.square()).sum(1).tolist()
        found = {"psnr": math.fsum(ratios) / len(ratios)}
        return found | ({"variance_ratio": shown / truth} if truth > 0 else {})
