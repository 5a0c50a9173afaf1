"""A data set before anything is trained on it: how many of its signals are held out, and what they look like."""

from pathlib import Path

import torch
from torch import Tensor

from inrkit.core.draws import Draws, seed_of
from inrkit.core.modality import Modality
from inrkit.errors import InrkitError


def held_out(file: Path, cls: type[Modality]) -> int | None:
    """How many signals of a store training never sees; None where they are too few for it."""
    try:
        return len(cls(cls.Options()).source(file, "test"))
    except InrkitError:
        return None


@torch.no_grad()
def pictures_of_data(file: Path, cls: type[Modality], most: int) -> Tensor:
    """Pictures (B, 3, H, W) in [0, 1] of the first training signals of a store, as a run without options sees them."""
    source = cls(cls.Options()).source(file, "train")
    modality, numbers = cls(cls(cls.Options()).fit_options(source)), range(min(most, len(source)))
    draws = Draws(seed_of("held out", *numbers), len(numbers))
    batch = modality.observe(source.read(numbers), draws, training=False)
    return modality.display.pictures(batch.query.values).float()
