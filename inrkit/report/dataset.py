"""What a data set looks like before anything is trained on it."""

from pathlib import Path

import torch
from torch import Tensor

from inrkit.core.draws import Draws, seed_of
from inrkit.core.modality import Modality


@torch.no_grad()
def pictures_of_data(file: Path, cls: type[Modality], most: int) -> Tensor:
    """Pictures (B, 3, H, W) in [0, 1] of the first training signals of a store, as a run without options sees them."""
    usual = cls(cls.Options())
    source = usual.source(file, "train")
    modality, numbers = cls(usual.fit_options(source)), range(min(most, len(source)))
    draws = Draws(seed_of("held out", *numbers), len(numbers))
    batch = modality.observe(source.read(numbers), draws, training=False)
    return modality.display.pictures(batch.query.values).float()
