"""How good a trained model is, in numbers: `evaluation.json` and the sheet `nearest.png` in the run directory.

    encode        PSNR and SSIM of INRs of held-out signals where they are queried, what else the modality counts, and
                  the PSNR of the best constant answer, the mean of training signals
    sets          generated signals against held-out ones, with real signals (the floor) and noise beside them
    memorisation  how near generated signals are to the training set, beside how near held-out signals are to it
    spread        how far generated signals differ from each other at one place, beside how far real ones do there
    resolution    larger renders of INRs, averaged back, against their smallest render
    denoising     how far f(x + t z, t) is from x, over noise levels t
    trajectory    how far f(x + t z, t) moves from one t to the next, over levels that training never saw
    times         the middle noise level of two steps, when it was searched: from then on the run samples with it

Everything is computed a batch at a time; of the signals only small pictures are kept.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from inrkit.core.draws import seed_of
from inrkit.core.modality import Source
from inrkit.drawing.sheet import labelled_rows, save_png
from inrkit.errors import UsageError, did_you_mean
from inrkit.evaluation import diagnose, sets
from inrkit.evaluation.search import search_middle
from inrkit.inference.heldout import Trained, batches, choose, compared_of, encode, enlarged, pictures_of, source_of
from inrkit.inference.times import searched, times_of
from inrkit.metrics.metric import psnr, ssim
from inrkit.progress import Progress, quiet
from inrkit.storage import atomic

ENCODE = ("psnr", "ssim")
METRICS = (*ENCODE, *sets.FIGURES, "spread", "memorisation", "resolution", *diagnose.NAMES)
ONE_AND_TWO_STEPS = ((80.0,), (80.0, 0.821))

_BATCH = 100
_FACTORS = (2, 4, 8)
_AVERAGED = 1000
_COMPARED = 256
_DIAGNOSED = 64
_SEARCHED = 1000


def evaluate(
    model: Trained,
    *,
    data: Path | str | None = None,
    n: int = 2000,
    seed: int = 0,
    metrics: Sequence[str] | None = None,
    times: Sequence[Sequence[float]] | None = None,
    search_times: bool = False,
    progress: Progress = quiet,
    run_dir: Path | None = None,
) -> dict[str, Any]:
    """The figures, as plain JSON; also written to the run directory, where the next report finds them.

    Args:
        data: A store whose held-out signals to use; by default the one that the model was trained on.
        n: Signals in each set, at most.
        seed: Of the generated signals and of the choice of real ones. The same seed gives the same figures.
        metrics: Some of `METRICS`; all by default.
        times: The noise levels of each kind of samples; by default of one step and of two, or of the path of a
            diffusion model.
        search_times: First look for the middle noise level of two steps; the figures are then those of samples by way
            of it, and so are later samples of this checkpoint.
        progress: Shows how far it is.
        run_dir: Where to write; by default the run of the model, and nowhere if it has none.
    """
    chosen = chosen_metrics(metrics)
    if n < 16:
        raise UsageError(f"'n' must be at least 16 (got {n})")
    held_out = source_of(model, "test", None if data is None else Path(data))
    run_dir = run_dir if run_dir is not None else getattr(model, "run", None)
    result: dict[str, Any] = {"step": model.step, "seed": seed, "data": dict(held_out.facts)}
    found = search_middle(model, min(n, _SEARCHED), seed, progress) if search_times else _searched(run_dir, model.step)
    if found:
        result["times"] = found
    if times is None:
        times = own_times(model, found)
    if chosen & set(ENCODE):
        result["encode"] = encode_figures(model, held_out, choose(len(held_out), n, seed), chosen, progress)
    if chosen & {*sets.FIGURES, "memorisation"}:
        result |= _sampled(model, held_out, n, seed, times, chosen, progress, run_dir)
    if "spread" in chosen:
        result |= spread_figures(model, held_out, choose(len(held_out), min(n, _COMPARED), seed), seed)
    if "resolution" in chosen:
        result["resolution"] = resolution_figures(model, held_out, choose(len(held_out), 16, seed), progress)
    if chosen & set(diagnose.NAMES):
        result |= diagnose.diagnosis(
            model, held_out, choose(len(held_out), min(n, _DIAGNOSED), seed), seed, chosen, progress
        )
    if run_dir is not None:
        atomic.write_text(Path(run_dir) / "evaluation.json", json.dumps(result, indent=2, allow_nan=False) + "\n")
    return result


def own_times(model: Trained, found: Mapping[str, Any] | None = None) -> Sequence[Sequence[float]]:
    """One step and two of a consistency function, by way of the level that was found; the path of a diffusion model."""
    if model.sampler != "consistency":
        return (model.times(),)
    return model.times(1), times_of(2, middle=found["middle"]) if found else model.times(2)


def _searched(run_dir: Path | str | None, step: int) -> dict[str, Any] | None:
    """What an earlier search found for this checkpoint; a new evaluation keeps it."""
    return None if run_dir is None else searched(Path(run_dir), step)


def chosen_metrics(names: Sequence[str] | None) -> set[str]:
    """The metrics of these names, or all of them."""
    if names is None:
        return set(METRICS)
    chosen = {name.replace("-", "_") for name in names}
    for name in sorted(chosen - set(METRICS)):
        raise UsageError(f"no metric named '{name}'; there are {', '.join(METRICS)}.{did_you_mean(name, METRICS)}")
    return chosen


def encode_figures(
    model: Trained, source: Source, numbers: Sequence[int], chosen: set[str], progress: Progress
) -> dict[str, Any]:
    """PSNR, SSIM and the modality's own figures over these signals. Values lie in [-1, 1]: peak² = 4."""
    found: dict[str, list[float]] = {name: [] for name in ENCODE if name in chosen}
    if "psnr" in found:
        found["constant"] = []
        constant = constant_answer(model)
    for part in batches(len(numbers), _BATCH):
        encoded = encode(model, source, [numbers[i] for i in part])
        shown, truth = encoded.shown.clamp(-1, 1), encoded.truth
        if "psnr" in found:
            found["psnr"] += psnr(shown, truth, peak=2).tolist()
            if all(n in (1, m) for n, m in zip(constant.shape, truth.shape, strict=True)):
                found["constant"] += psnr(constant.expand_as(truth), truth, peak=2).tolist()
        if "ssim" in found:
            found["ssim"] += similarity(model, shown, truth).tolist()
        for name, values in model.modality.figures(shown, truth).items():
            found.setdefault(name, []).extend(values.tolist())
        progress(part.stop, len(numbers), "encoding")
    return {"count": len(numbers)} | {name: spread_of(values) for name, values in found.items() if values}


def constant_answer(model: Trained) -> Tensor:
    """The mean (1, C, ...) of training signals: what whoever has not seen a signal would best answer."""
    training = source_of(model, "train")
    numbers = choose(len(training), _AVERAGED, 0)
    parts = [compared_of(model, training, [numbers[i] for i in part]).values for part in batches(len(numbers), _BATCH)]
    return torch.cat(parts).mean(0, keepdim=True)


@torch.no_grad()
def spread_figures(model: Trained, source: Source, numbers: Sequence[int], seed: int) -> dict[str, Any]:
    """Root mean square differences between pairs of generated, and pairs of real signals, all at the template's place.

    Empty where nobody knows what real signals look like there.
    """
    count = len(numbers) // 2 * 2
    drawn = model.sample(count, seed=seed_of(seed, "spread"))
    real = model.modality.truth(source, numbers[:count], drawn.observation.where)
    if real is None or not count:
        return {}
    generated, known = _between_pairs(drawn.signal.cpu()), _between_pairs(real.cpu())
    return {"spread": {"samples": generated, "real": known, "ratio": generated / known if known > 0 else 0.0}}


def _between_pairs(values: Tensor) -> float:
    a, b = values.float().clamp(-1, 1).flatten(1).chunk(2)
    return float((a - b).square().mean(1).sqrt().mean())


def similarity(model: Trained, shown: Tensor, truth: Tensor) -> Tensor:
    """SSIM of the values where they fill a window along every axis, else of their pictures, (B,)."""
    if 3 <= truth.ndim <= 5 and min(truth.shape[2:]) >= 11:
        return ssim(shown, truth, peak=2, lowest=-1)
    return ssim(pictures_of(model, shown), pictures_of(model, truth), peak=1)


def spread_of(values: Sequence[float]) -> dict[str, float]:
    """Mean, standard deviation and quantiles of what is finite (the PSNR of equal signals is not)."""
    x = torch.tensor(values, dtype=torch.float64)
    finite = x[x.isfinite()]
    result = {"finite": float(len(finite)) / len(x)}
    if len(finite):
        low, middle, high = torch.quantile(finite, finite.new_tensor([0.05, 0.5, 0.95])).tolist()
        std = float(finite.std(correction=0))
        result |= {"mean": float(finite.mean()), "std": std, "p5": low, "median": middle, "p95": high}
    return result


def resolution_figures(model: Trained, source: Source, numbers: Sequence[int], progress: Progress) -> dict[str, Any]:
    """PSNR between renders averaged over areas and the render at the size of training, for each factor.

    Empty for a modality that cannot be asked for a size. It does not say whether the larger render is sharp: a
    constant would agree with itself.
    """
    found: dict[int, list[float]] = {}
    for i, number in enumerate(numbers):
        renders = enlarged(model, encode(model, source, [number]).prediction, _FACTORS)
        for factor in renders.keys() - {1}:
            averaged = F.avg_pool2d(renders[factor], factor)
            found.setdefault(factor, []).append(float(psnr(averaged, renders[1], peak=1)))
        progress(i + 1, len(numbers), "rendering larger")
    return {f"{factor}x": spread_of(found[factor]) for factor in sorted(found)}


def _sampled(
    model: Trained,
    held_out: Source,
    n: int,
    seed: int,
    times: Sequence[Sequence[float]],
    chosen: set[str],
    progress: Progress,
    run_dir: Path | None,
) -> Mapping[str, Any]:
    """All that needs generated signals."""
    training = source_of(model, "train")
    numbers, own = choose(len(held_out), n, seed), seed_of(seed, "evaluate")
    real = sets.real_pictures(model, held_out, numbers, "held-out signals", progress)
    samples = {sets.name_of(t): sets.sampled_pictures(model, held_out, numbers, own, t, progress) for t in times}
    result: dict[str, Any] = {}
    if chosen & set(sets.FIGURES):
        result["sets"] = sets.set_figures(model, samples, real, (held_out, numbers), training, seed, chosen, progress)
    if "memorisation" in chosen:
        result["memorisation"], closest = sets.memorisation_figures(
            model, next(iter(samples.values())), real, training, seed, progress
        )
        if run_dir is not None:
            save_png(labelled_rows(closest), Path(run_dir) / "nearest.png")
    return result
