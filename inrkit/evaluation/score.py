"""One number while training goes on: how well unseen signals are encoded, the same few each time."""

import math
from typing import final

from inrkit.config.resolve import Resolved
from inrkit.errors import DataError, UsageError
from inrkit.inference.heldout import Trained, batches, encode
from inrkit.metrics.metric import psnr

_COUNT = 64
_ROWS = 16
_PEAK = 2.0  # values lie in [-1, 1]


@final
class Score:
    """The first signals of the test split; without one, nothing is measured."""

    def __init__(self, resolved: Resolved) -> None:
        try:
            self.source = resolved.source("test")
            self.count = min(_COUNT, len(self.source))
        except (DataError, UsageError):
            self.count = 0

    def measure(self, model: Trained) -> dict[str, float]:
        """{"psnr": mean over the signals of the PSNR of their encodings, where they are queried}."""
        ratios: list[float] = []
        for numbers in batches(self.count, _ROWS):
            encoded = encode(model, self.source, numbers)
            ratios += psnr(encoded.shown, encoded.truth, peak=_PEAK).tolist()
        return {"psnr": math.fsum(ratios) / len(ratios)} if ratios else {}
