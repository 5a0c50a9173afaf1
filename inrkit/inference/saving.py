"""A trained model as a folder to hand on, with a card that says what it is, how good, and how it was made."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import inrkit
from inrkit.drawing.sheet import png, sheet
from inrkit.errors import UsageError
from inrkit.inference.evaluated import read_evaluation
from inrkit.inference.model import Model
from inrkit.inference.picture import shown_of
from inrkit.inference.times import middle_of
from inrkit.storage.modelfolder import CARD, SHEET, save_model

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
_SAMPLES = 32
_NOT_MADE = ("real", "noise")

_CARD = """---
library_name: inrkit
license: {license_line}
tags:
- inrkit
- implicit-neural-representation
- consistency-model
- {modality}
---

# {name}

![samples](sheet.png)

A hyper-network of inrkit that encodes, generates and edits signals as implicit neural representations: modality
`{modality}`, {summary}. It has {count:,} parameters, averaged over training and stored in {dtype}.
The samples above are its first {samples}, seed 0, chosen by nobody.

## Use it

    inrkit sample {name} -n 16
    inrkit encode {name} FILE
    inrkit edit {name} FILE --task denoise

In Python, `inrkit.load("{name}")`. Where it is not installed by that name, give the path of this folder.

## How good it is

{figures}

## How it was made

It was trained for {step:,} steps of {batch} signals{data}.
The config beside this card trains it again:

    inrkit train --config config.toml --out runs/{name}

## Terms

Weights: {license}. Training data: {data_terms}
"""


def save(model: Model, folder: Path, dtype: str, license: str, data_terms: str) -> Path:
    """See `Model.save`."""
    if dtype not in _DTYPES:
        raise UsageError(f"'dtype' must be fp32 or bf16 (got {dtype!r})")
    matrices = {name for name, value in model.pipeline.named_parameters(remove_duplicate=False) if value.ndim > 1}
    cast: dict[tuple[int, torch.Size], Tensor] = {}  # what is one tensor under two names stays one
    weights = {
        name: cast.setdefault((v.data_ptr(), v.shape), v.to(_DTYPES[dtype])) if name in matrices else v
        for name, v in model.pipeline.state_dict().items()
    }
    evaluation = _evaluation(model)
    meta: dict[str, Any] = {
        "inrkit": inrkit.__version__,
        "dtype": dtype,
        "facts": dict(model.facts),
        "skipped": model.skipped,
        "middle": middle_of(model.run, model.step, model.middle),
        "license": license,
        "evaluation": evaluation,
    }
    samples = png(sheet(shown_of(model, model.sample(_SAMPLES))))
    card = _card(model, folder.name, dtype, license, data_terms, evaluation)
    texts = {CARD: card.encode(), SHEET: samples}
    return save_model(folder, model.config, weights, texts, step=model.step, meta=meta)


def _evaluation(model: Model) -> dict[str, Any]:
    """What `inrkit evaluate` found for this very checkpoint, if it was asked."""
    found = read_evaluation(model.run)
    return found if found.get("step") == model.step else {}


def _card(model: Model, name: str, dtype: str, license: str, data_terms: str, evaluation: Mapping[str, Any]) -> str:
    facts = model.facts
    titled = f" on {facts['title']} ({facts['count']:,} signals)" if facts.get("title") and "count" in facts else ""
    return _CARD.format(
        name=name,
        license_line=license.lower() or "unknown",
        license=license or "no licence is given",
        data_terms=data_terms or facts.get("title") or "nothing is said of them",
        modality=model.modality.name,
        summary=model.modality.summary,
        count=sum(parameter.numel() for parameter in model.pipeline.parameters()),
        dtype=dtype,
        samples=_SAMPLES,
        step=model.step,
        batch=model.config.batch_size,
        data=titled,
        figures=_figures(evaluation, name),
    )


def _figures(evaluation: Mapping[str, Any], name: str) -> str:
    """Reconstruction, and Fréchet distances beside those of training signals: the floor of any generator."""
    rows = [
        (f"reconstruction {key.upper()} of held-out signals", found[key]["mean"], None)
        for found in [evaluation.get("reconstruction", {})]
        for key in ("psnr", "ssim")
        if key in found
    ]
    sets = evaluation.get("sets", {})
    for space, kinds in sets.get("spaces", {}).items():
        if sets["count"] < sets["needed"][space]:
            continue  # of so few signals a distance would say nothing
        floor = kinds.get("real", {}).get("frechet")
        made = {kind: row["frechet"] for kind, row in kinds.items() if kind not in _NOT_MADE and "frechet" in row}
        rows += [(f"Fréchet distance, {kind}, features `{space}`", value, floor) for kind, value in made.items()]
    if not rows:
        return f"It has not been measured yet: `inrkit evaluate {name}` does."
    table = ["| figure | value | floor: training signals |", "| --- | --- | --- |"]
    table += [f"| {what} | {value:.4g} | {'' if floor is None else f'{floor:.4g}'} |" for what, value, floor in rows]
    return "\n".join(
        [*table, "", f"By `inrkit evaluate`, over {evaluation['taken']:,} held-out signals, seed {evaluation['seed']}."]
    )
