"""A whole data set as params: the first stage of a two-stage system, in one file that the second stage learns from.

The store holds an array `params.NAME` (N, *shape) for each param, `split` (0 train, 1 test) and `labels` if there are
any. Its attributes carry two INR files, the mean and the standard deviation of the params over the training split: with
the function, its shared weights, the modality and the read-out in them, any params of the store (or like those of the
store) can be rendered without the run.
"""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor

from inrkit.config.data import open_data
from inrkit.core.modality import Source
from inrkit.errors import UsageError
from inrkit.inference.model import Model
from inrkit.inference.signalset import batches
from inrkit.progress import Progress, quiet
from inrkit.storage.inrfile import pack_inr
from inrkit.storage.storewriter import StoreWriter

SPLITS = ("train", "test")
MODALITY = "params"

_BATCH = 64
_LEAST = 1e-6  # an entry that hardly varies is left as it is


@torch.no_grad()
def encode_set(
    model: Model,
    data: Path | str | None,
    out: Path,
    *,
    splits: tuple[str, ...] = SPLITS,
    limit: int | None = None,
    progress: Progress = quiet,
) -> Path:
    """Encodes the signals of a data set, and writes their params to ``out``.

    Args:
        data: A store, or an address that a plugin opens; None for the embedded signals.
        splits: Which of them.
        limit: At most so many of each split, the first ones.
        progress: Shows how many signals are done.
    """
    if out.exists():
        raise UsageError(f"{out}: expected a new file, found an existing one; choose another name")
    sources = {split: open_data(None if data is None else str(data), model.modality, split) for split in splits}
    counts = {split: len(source) if limit is None else min(limit, len(source)) for split, source in sources.items()}
    total, done = sum(counts.values()), 0
    first = min(splits, key=SPLITS.index)
    moments = _Moments()
    with StoreWriter(out, MODALITY) as store:
        for split, source in sources.items():
            for part in batches(counts[split], _BATCH):
                signals = source.read(part)
                batch = model.observe(signals, part)
                params = model.pipeline.params(batch.support, torch.zeros(len(part), device=model.device), batch.label)
                kept = {name: values.float().cpu() for name, values in params.items()}
                if split == first:
                    moments.add(kept)
                arrays = {f"params.{name}": values for name, values in kept.items()}
                arrays["split"] = torch.full((len(part),), SPLITS.index(split), dtype=torch.uint8)
                if "label" in signals:
                    arrays["labels"] = signals["label"].cpu().long()
                store.append(arrays)
                done += len(part)
                progress(done, total, "encoding")
        store.attributes.update(_attributes(model, moments, next(iter(sources.values()))))
    return out


@final
class _Moments:
    """Mean and standard deviation of params that come some rows at a time, by the update of Chan et al."""

    def __init__(self) -> None:
        self.count = 0
        self.mean: dict[str, Tensor] = {}
        self._squares: dict[str, Tensor] = {}

    def add(self, params: Mapping[str, Tensor]) -> None:
        """Params (B, *shape)."""
        rows = len(next(iter(params.values())))
        total = self.count + rows
        for name, values in params.items():
            mean = values.double().mean(0)
            squares = (values.double() - mean).square().sum(0)
            before, sums = self.mean.get(name, torch.zeros_like(mean)), self._squares.get(name, torch.zeros_like(mean))
            self.mean[name] = before + (mean - before) * (rows / total)
            self._squares[name] = sums + squares + (mean - before).square() * (self.count * rows / total)
        self.count = total

    def std(self, name: str) -> Tensor:
        return (self._squares[name] / self.count).sqrt()


def _attributes(model: Model, moments: _Moments, source: Source) -> dict[str, Any]:
    names = sorted(moments.mean)
    mean, std = {}, {}
    for name in names:
        mean[name] = moments.mean[name].float()
        spread = moments.std(name).float()
        std[name] = torch.where(spread > _LEAST, spread, torch.ones_like(spread))
    facts = source.facts
    return {
        "title": f"params of {facts.get('title') or model.modality.name}",
        "class_names": list(facts.get("class_names", [])),
        "names": names,
        "mean": _packed(model, mean),
        "std": _packed(model, std),
    }


def _packed(model: Model, params: Mapping[str, Tensor]) -> str:
    """These params as an INR file in base64."""
    inr = model.inr_of(params, 0.0, {"kind": "statistics"})
    return base64.b64encode(pack_inr(inr)).decode()
