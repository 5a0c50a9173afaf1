"""Pictures of what a trained model gives, at the place of training or any other."""

from collections.abc import Mapping, Sequence

import attrs
import torch
from torch import Tensor

from inrkit.core.pipeline import Prediction
from inrkit.errors import UsageError
from inrkit.inference.model import Model


@torch.no_grad()
def pictures_of(model: Model, values: Tensor) -> Tensor:
    """Pictures (B, 3, H, W) in [0, 1] on the CPU."""
    return model.modality.display.pictures(values).float().cpu()


@torch.no_grad()
def rendered(model: Model, prediction: Prediction, request: Mapping[str, str]) -> Tensor | None:
    """Pictures (B, 3, H, W) of INRs at the place that a request means; None where there is no such place."""
    try:
        where = model.modality.display.places(request)[0]
    except UsageError:
        return None
    where = attrs.evolve(model.modality.template(1), where=where).to(model.device).where
    shown = [prediction.rows(slice(i, i + 1)).at(where) for i in range(len(prediction.t))]
    return pictures_of(model, torch.cat(shown))


def enlarged(model: Model, prediction: Prediction, factors: Sequence[int]) -> dict[int, Tensor]:
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


def shown_of(model: Model, prediction: Prediction) -> Tensor:
    """Pictures of generated signals, at the place where the modality wants them looked at."""
    request = model.modality.display.preview
    pictures = rendered(model, prediction, request) if request else None
    return pictures_of(model, prediction.signal) if pictures is None else pictures
