"""Pictures of what a trained model gives, at the place of training or any other."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Protocol

import torch
from PIL import Image
from torch import Tensor

from inrkit.config.run import RunConfig
from inrkit.core.modality import Modality
from inrkit.core.pipeline import Pipeline, Prediction
from inrkit.drawing.page import Picture
from inrkit.drawing.sheet import png, sheet
from inrkit.errors import UsageError
from inrkit.inference.given import places


class Owner(Protocol):
    """What pictures need of a model."""

    modality: Modality
    pipeline: Pipeline
    config: RunConfig
    run: Path
    step: int
    facts: Mapping[str, Any]

    @property
    def device(self) -> torch.device: ...


@torch.no_grad()
def pictures_of(model: Owner, values: Tensor) -> Tensor:
    """Pictures (B, 3, H, W) in [0, 1] on the CPU."""
    return model.modality.display.pictures(values).float().cpu()


@torch.no_grad()
def views_of(model: Owner, values: Tensor) -> Tensor:
    """All single pictures (B * V, 3, H, W) in [0, 1] on the CPU."""
    return model.modality.display.views(values).float().cpu()


@torch.no_grad()
def rendered(model: Owner, prediction: Prediction, request: Mapping[str, str]) -> Tensor | None:
    """Pictures (B, 3, H, W) of INRs at the place that a request means; None where there is no such place."""
    try:
        where = places(model.modality, request, model.device, len(prediction.t))[0]
    except UsageError:
        return None
    shown = [prediction.rows(slice(i, i + 1)).at(where) for i in range(len(prediction.t))]
    return pictures_of(model, torch.cat(shown))


def enlarged(model: Owner, prediction: Prediction, factors: Sequence[int]) -> dict[int, Tensor]:
    """Factor to pictures of INRs that are so many times as large as those at the place of training.

    Empty for a modality that cannot be asked for a size.
    """
    base = rendered(model, prediction, {})
    if base is None:
        return {}
    height, width = base.shape[2:]
    found = {1: base}
    for factor in factors:
        size = (height * factor, width * factor)
        pictures = base if factor == 1 else rendered(model, prediction, {"size": f"{size[1]}x{size[0]}"})
        if pictures is not None and tuple(pictures.shape[2:]) == size:
            found[factor] = pictures
    return found if len(found) > 1 else {}


def shown_of(model: Owner, prediction: Prediction) -> Tensor:
    """Pictures of generated signals, at the place where the modality wants them looked at."""
    request = model.modality.display.preview
    pictures = rendered(model, prediction, request) if request else None
    return pictures_of(model, prediction.signal) if pictures is None else pictures


SHOWN = 24
"""Signals on the picture that a notebook shows of a prediction, at most."""


def sheet_of(model: Owner, prediction: Prediction) -> bytes:
    """The first signals of a prediction, as a PNG file."""
    return png(sheet(shown_of(model, prediction.rows(slice(0, SHOWN)))))


def card_of(model: Owner) -> str:
    """What a notebook shows of a model, as HTML: its figures, and the newest sheet of samples beside the weights."""
    weights = sum(value.numel() for value in model.pipeline.parameters())
    params = sum(math.prod(shape) for shape in model.pipeline.function.param_shapes.values())
    facts = {
        "model": model.run,
        "modality": model.modality.name,
        "trained by": f"{model.config.objective}, {model.step:,} steps",
        "network": f"{weights:,} parameters on {model.device}",
        "one INR": f"{params:,} params of `{type(model.pipeline.function).__name__}`",
        "classes": ", ".join(map(str, model.facts.get("class_names", ()))),
    }
    rows = "".join(f"<tr><th>{name}</th><td>{escape(str(fact))}</td></tr>" for name, fact in facts.items() if fact)
    sheets = [*model.run.glob("sheet.png"), *sorted(model.run.glob("samples/step-*.png"))]
    if not sheets:
        return f"<table>{rows}</table>"
    with Image.open(sheets[-1]) as opened:
        return f"<table>{rows}</table>{Picture(opened.convert('RGB'), 'samples').inner()}"
