"""What every layer of a network is told: how noisy its input is, and which class it is of."""

import math
from typing import final

import torch
from torch import Tensor, nn

from inrkit.core.denoiser import Level
from inrkit.errors import UsageError
from inrkit.nn.fourier import noise_level_features
from inrkit.nn.precision import full_precision

FEATURES = 256
GUIDANCE_SCALE = 4.0  # so that a good part of the frequencies tells scales of guidance apart


def label_rows(label: Tensor | None, rows: int, classes: int, device: torch.device) -> Tensor:
    """The row of the label embedding for each row of a batch: 0 for "no class" (-1, or no label at all)."""
    if label is None:
        return torch.zeros(rows, dtype=torch.int64, device=device)
    if label.device.type == "cpu":  # elsewhere the look-up checks it, and nobody waits for the answer
        wrong = label[(label >= classes) | (label < -1)]
        if len(wrong):
            raise UsageError(f"a label must be 0 to {classes - 1}, or -1 for none (got {int(wrong[0])})")
    return label + 1


@final
class Condition(nn.Module):
    """The embedded noise level, plus the embedded class, (B, dim); and what the methods ``take_...`` add.

    Args:
        dim: Width of the embedding.
        classes: Number of class labels; 0 for none. Label -1, and a missing label, mean "no class".
        fourier: Scale of random frequencies for the noise level (Score SDE); 0: sinusoids of fixed frequencies (DDPM).
    """

    def __init__(self, dim: int, classes: int = 0, fourier: float = 0.0) -> None:
        super().__init__()
        self.dim, self.classes = dim, classes
        self.frequencies: Tensor | None
        self.register_buffer("frequencies", torch.randn(FEATURES // 2) * fourier if fourier else None)
        self.level = nn.Sequential(nn.Linear(FEATURES, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.label = nn.Embedding(classes + 1, dim) if classes else None
        self.until: nn.Sequential | None = None
        self.guidance: nn.Sequential | None = None
        self.augmentation: nn.Linear | None = None

    def take_until(self) -> None:
        """Also embeds the level that an answer leads to; at first it changes nothing."""
        self.until = self._silent()

    def take_guidance(self) -> None:
        """Also embeds the guidance scale that an answer is to have; at first it changes nothing."""
        self.guidance = self._silent()

    def take_augmentation(self, labels: int) -> None:
        """Also embeds so many numbers that say how a signal was augmented; zeros, for not at all, add nothing (EDM)."""
        self.augmentation = nn.Linear(labels, self.dim, bias=False)
        nn.init.zeros_(self.augmentation.weight)

    def _silent(self) -> nn.Sequential:
        last = nn.Linear(self.dim, self.dim)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        return nn.Sequential(nn.Linear(FEATURES, self.dim), nn.SiLU(), last)

    def forward(self, level: Level, label: Tensor | None = None, augmentation: Tensor | None = None) -> Tensor:
        """The condition of each row, for labels (B,) or None, and what was done to it, (B, labels) or None."""
        with full_precision(level.noise_level.device):
            condition: Tensor = self.level(self._features(level.noise_level))
            if self.until is not None and level.until is not None:
                condition = condition + self.until(self._features(level.until))
            if self.guidance is not None and level.guidance is not None:
                condition = condition + self.guidance(noise_level_features(GUIDANCE_SCALE * level.guidance, FEATURES))
            if self.augmentation is not None and augmentation is not None:
                condition = condition + self.augmentation(augmentation)
            if self.label is None:
                if label is not None:
                    raise UsageError("a label was given to a network that learned no classes; leave it out")
                return condition
            embedded: Tensor = self.label(label_rows(label, condition.shape[0], self.classes, condition.device))
            return condition + embedded

    def _features(self, level: Tensor) -> Tensor:
        """c_noise, (B,), as (B, FEATURES): with random frequencies w, cos(2π w c_noise) and sin(2π w c_noise)."""
        if self.frequencies is None:
            return noise_level_features(level, FEATURES)
        angles = 2 * math.pi * level.float()[:, None] * self.frequencies
        return torch.cat([angles.cos(), angles.sin()], dim=-1)
