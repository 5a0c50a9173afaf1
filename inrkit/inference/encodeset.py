"""A whole data set as params: the first stage of a two-stage system, in one file that the second stage learns from.

The store holds an array `params.NAME` (N, *shape) for each param, `split` (0 train, 1 test) and `labels` if there are
any. Its attributes carry two INR files, the mean and the standard deviation of the params over the training split: with
the function, its shared weights, the modality and the read-out in them, any params of the store (or like those of the
store) can be rendered without the run.
"""

import base64
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inrkit.config.data import open_data
from inrkit.core.modality import Source
from inrkit.errors import UsageError
from inrkit.inference.model import Model
from inrkit.inference.signalset import batches
from inrkit.progress import Progress, quiet
from inrkit.storage.inrfile import pack_inr
from inrkit.storage.store import write_store

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
    found: defaultdict[str, list[np.ndarray]] = defaultdict(list)
    for split, source in sources.items():
        for part in batches(counts[split], _BATCH):
            signals = source.read(part)
            batch = model.observe(signals, part)
            params = model.pipeline.params(batch.support, torch.zeros(len(part), device=model.device), batch.label)
            for name, values in params.items():
                found[f"params.{name}"].append(values.float().cpu().numpy())
            if "label" in signals:
                found["labels"].append(signals["label"].cpu().numpy().astype(np.int64))
            found["split"].append(np.full(len(part), SPLITS.index(split), np.uint8))
            done += len(part)
            progress(done, total, "encoding")
    arrays = {name: np.concatenate(parts) for name, parts in found.items()}
    return write_store(out, MODALITY, arrays, _attributes(model, arrays, next(iter(sources.values()))))


def _attributes(model: Model, arrays: Mapping[str, np.ndarray], source: Source) -> dict[str, Any]:
    chosen = arrays["split"] == arrays["split"].min()
    names = sorted(name.removeprefix("params.") for name in arrays if name.startswith("params."))
    mean, std = {}, {}
    for name in names:
        values = arrays[f"params.{name}"][chosen]
        mean[name] = torch.from_numpy(values.mean(0, dtype=np.float64)).float()
        spread = torch.from_numpy(values.std(0, dtype=np.float64)).float()
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
