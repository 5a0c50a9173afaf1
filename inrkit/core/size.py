"""How large a network is, by one word: every other number follows from it by rule."""

from collections.abc import Mapping
from typing import Any, final

import attrs

from inrkit.errors import UsageError, did_you_mean

_HEAD = 64
_RATE, _AT = 3e-3, 128


@final
@attrs.frozen
class Size:
    """A transformer's width and depth, and how it is trained; the other numbers follow.

    Heads are 64 wide, feed-forward layers four times the width, as in the papers; an INR has two thirds of it; and
    Muon's learning rate falls with the root of the width.
    """

    width: int
    depth: int
    decoder_depth: int
    batch_size: int
    steps: int

    @staticmethod
    def named(name: str) -> "Size":
        """The size of this name."""
        if name not in SIZES:
            hint = did_you_mean(name, SIZES)
            raise UsageError(f"there is no network of size '{name}'; there are {', '.join(SIZES)}.{hint}")
        return SIZES[name]

    @property
    def inr_width(self) -> int:
        """The width of what the transformer makes."""
        return max(_HEAD, self.width * 2 // 3 // _HEAD * _HEAD)

    def options(self) -> Mapping[str, int]:
        """Options of a transformer and of an INR that attends to tokens, by the names that modalities give them."""
        return {
            "width": self.width,
            "heads": self.width // _HEAD,
            "hidden": 4 * self.width,
            "depth": self.depth,
            "decoder_depth": self.decoder_depth,
            "inr_width": self.inr_width,
            "inr_inner": self.width // 2,
            "inr_heads": max(2, self.width // 128),
        }

    def training(self) -> Mapping[str, Any]:
        """Keys of a run."""
        rate = float(f"{_RATE * (_AT / self.width) ** 0.5:.2g}")
        return {"batch_size": self.batch_size, "steps": self.steps, "lr": rate, "optimizer": "muon"}


SIZES: Mapping[str, Size] = {
    "small": Size(128, 3, 2, 32, 1000),
    "base": Size(256, 4, 3, 64, 10_000),
    "large": Size(512, 6, 4, 128, 100_000),
    "paper": Size(768, 8, 6, 128, 600_000),
}
