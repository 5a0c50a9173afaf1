"""Solids on three axes."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, final

import attrs
import torch
from torch import Tensor

from inrkit import Augmentation, Draws, GridModality, GridOptions, Measure, Params, Surface, option, tiny_preset
from inrkit_shapes import picture, solids
from inrkit_shapes.distance import REACH
from inrkit_shapes.importing import MeshesImporter, values_of_file

_AT_ONCE = 4096  # points of a surface: more of them together are slower


@attrs.frozen
class ShapesOptions(GridOptions):
    """Options of the modality ``shapes``."""

    turn: bool = option(False, "data augmentation: rotations and reflections about the vertical axis")


_TINY = tiny_preset(
    1000,
    32,
    width=256,
    depth=3,
    hidden=512,
    function="windows",  # 4 dB more than anr after as many steps
    token_patch=8,
    inr_width=128,
    query_points=768,
)


@final
class Turn(Augmentation):
    """Mirrored along x and along y, and the two exchanged where they are equally long: all turns and reflections."""

    labels = 3

    def draw(self, values: Tensor, draws: Draws) -> Tensor:
        return (torch.stack([draws.uniform() for _ in range(3)], 1) < 0.5).float()

    def apply(self, values: Tensor, amounts: Tensor) -> Tensor:
        x, y, exchanged = (amount > 0 for amount in amounts[:, :, None, None, None, None].unbind(1))
        values = torch.where(x, values.flip(2), values)
        values = torch.where(y, values.flip(3), values)
        return torch.where(exchanged, values.transpose(2, 3), values) if values.shape[2] == values.shape[3] else values


@final
class ShapesModality(GridModality):
    """Truncated signed distances, positive inside: see `inrkit_shapes.distance`."""

    name = "shapes"
    summary = "solids as signed distances"
    axes = 3
    Options = ShapesOptions
    invented_size = (32, 32, 32)
    suffixes = (*MeshesImporter.suffixes, ".npz", ".npy")
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"tiny": _TINY}

    options: ShapesOptions

    def invent(self, chance: torch.Generator) -> Any:
        return solids.invent(chance)

    def decode(self, data: bytes, name: str) -> Tensor:
        """A mesh, occupied cells, or values that `write` left."""
        if name.endswith(".npy") and (found := super().decode(data, name)).is_floating_point():
            return found
        return values_of_file(data, name, max(self.query_size))[None]

    def augmentations(self) -> Sequence[Augmentation]:
        return [*super().augmentations(), *([Turn()] if self.options.turn else [])]

    def pictures(self, values: Tensor) -> Tensor:
        return picture.views(values[:, :1])

    def metrics(self, shown: Tensor, truth: Tensor) -> Mapping[str, Tensor]:
        """Intersection over union of what is inside."""
        a, b = (shown > 0).flatten(1), (truth > 0).flatten(1)
        return {"IoU": (a & b).sum(1) / (a | b).sum(1).clamp_min(1)}

    def surface(self, measure: Measure, params: Params) -> Surface:
        field, clean = measure.function.bind(params), torch.zeros(1)

        def value(points: Tensor) -> Tensor:
            parts = [field(part[None] / REACH) for part in points.split(_AT_ONCE)]
            return measure.readout.signal(torch.cat(parts, 1).transpose(1, 2), clean)[0, 0]  # of (1, heads, P)

        return Surface(value, 0.0, (-REACH,) * 3, (REACH,) * 3)
