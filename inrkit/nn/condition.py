"""What every layer of a network is told: how noisy its input is, and which class is wanted."""

from typing import final

import torch
from torch import Tensor, nn

from inrkit.errors import UsageError
from inrkit.nn.fourier import noise_level_features

FEATURES = 256


def label_rows(label: Tensor | None, rows: int, classes: int, device: torch.device) -> Tensor:
    """The row of the label embedding for each row of a batch: 0 for "no class" (-1, or no label at all)."""
    if label is None:
        return torch.zeros(rows, dtype=torch.int64, device=device)
    wrong = label[(label >= classes) | (label < -1)]
    if len(wrong):
        raise UsageError(f"a label must be 0 to {classes - 1}, or -1 for none (got {int(wrong[0])})")
    return label + 1


@final
class Condition(nn.Module):
    """The embedded noise level, plus the embedded class, (B, dim).

    Args:
        dim: Width of the embedding.
        classes: Number of class labels; 0 for none. Label -1, and a missing label, mean "no class".
    """

    def __init__(self, dim: int, classes: int = 0) -> None:
        super().__init__()
        self.classes = classes
        self.level = nn.Sequential(nn.Linear(FEATURES, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.label = nn.Embedding(classes + 1, dim) if classes else None

    def forward(self, noise_level: Tensor, label: Tensor | None = None) -> Tensor:
        """noise_level (B,), label (B,) or None."""
        condition: Tensor = self.level(noise_level_features(noise_level, FEATURES))
        if self.label is None:
            if label is not None:
                raise UsageError("a label was given to a network that learned no classes; leave it out")
            return condition
        embedded: Tensor = self.label(label_rows(label, len(condition), self.classes, condition.device))
        return condition + embedded
