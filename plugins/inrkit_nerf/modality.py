"""NeRF objects: one or a few posed views in, a radiance field out, measured along rays."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, final

import attrs
import torch
from torch import Tensor
from torch.nn import functional as F

from inrkit import (
    Batch,
    Denoiser,
    Draws,
    HyperTransformer,
    INRFunction,
    LiteralReadout,
    Measure,
    Modality,
    Preconditioning,
    Readout,
    Signals,
    Size,
    Source,
    UsageError,
    load_plugins,
    make_denoiser,
    make_function,
    make_heads,
)
from inrkit_nerf.augmentation import recoloured
from inrkit_nerf.cameras import Cameras
from inrkit_nerf.display import NerfDisplay
from inrkit_nerf.embedded.cars import Cars
from inrkit_nerf.observation import Rays, ViewObservation
from inrkit_nerf.options import PRESETS, NerfOptions
from inrkit_nerf.scene import REACH, Scene
from inrkit_nerf.stored import StoredViews
from inrkit_nerf.tokenizer import RayTokenizer
from inrkit_nerf.unprojection import Unprojection
from inrkit_nerf.views import Views, ViewSource

HELD_OUT = 500
"""Embedded objects of the test split."""


@final
class NerfModality(Modality):
    """Posed views, a generated MLP as radiance field, and ray marching."""

    name = "nerf"
    summary = "objects seen from posed cameras, as radiance fields"
    Options = NerfOptions
    presets = PRESETS
    known_failures: ClassVar[Mapping[str, str]] = {
        "imports_what_it_writes": "pictures are written, and those do not say where the cameras stood",
        "readouts_agree": "the literal read-out cannot show bounded colours, and is refused",
    }

    def __init__(self, options: NerfOptions) -> None:
        super().__init__(options)
        self.scene = Scene(options)

    @property
    def display(self) -> NerfDisplay:
        return NerfDisplay(self.scene)

    @classmethod
    def sized(cls, size: Size) -> Mapping[str, Any]:
        config = dict(super().sized(size))
        return {**config, "options": {**config["options"], "function_options": {"width": min(256, size.inr_width)}}}

    # ------------------------------------------------------------------------------------------ data

    def source(self, data: Path | None, split: str) -> Source:
        o, training = self.options, split == "train"
        if data is None:
            views: Views = Cars(split, o.count if training else HELD_OUT, o.size or (32, 32), o.object_views)
        else:
            views = StoredViews(data, split)
        return ViewSource(views, training=training, support=o.views, extra=o.query_views, most=o.test_views)

    def fit_options(self, source: Source) -> NerfOptions:
        facts, options = source.facts, self.scene.options
        read: dict[str, Callable[[Any], Any]] = {"size": tuple, "box": lambda box: (*box[0], *box[1]), "target": tuple}
        for name in ("size", "box", "radius", "focal", "target"):
            if getattr(options, name) is None:
                options = attrs.evolve(options, **{name: read.get(name, float)(facts[name])})
        if options.background == "random" and facts["channels"] != 4:
            raise UsageError("'options.background' is random, but the data's views have no opacity; use white or black")
        behind = source.objects.backdrop if isinstance(source, ViewSource) else "other"
        if {behind, options.background} == {"white", "black"}:
            raise UsageError(
                f"'options.background' is {options.background}, but the data's views have no opacity and show objects "
                f"before {behind}; set it to {behind}"
            )
        if options.classes is None:
            options = attrs.evolve(options, classes=facts["classes"])
        elif options.classes not in (0, facts["classes"]):
            raise UsageError(
                f"'options.classes' is {options.classes}, but the data have {facts['classes']} classes; set that, or 0"
            )
        if facts["views"] <= options.views:
            raise UsageError(
                f"'options.views' is {options.views}, but objects have {facts['views']} views; leave some over"
            )
        self._check_planes(options)
        return options

    @staticmethod
    def _check_planes(options: NerfOptions) -> None:
        """`UsageError` if no ray of a camera at the usual distance meets the box between the planes."""
        box, radius, _, target = Scene(options).measures
        reach = math.dist(*(
            [max(abs(low - at), abs(high - at)) for low, high, at in zip(box[:3], box[3:], target, strict=True)],
            (0.0, 0.0, 0.0),
        ))  # fmt: skip
        begin, end = max(0.0, radius - reach), radius + reach
        if options.near >= end or (options.far is not None and options.far <= begin):
            raise UsageError(
                f"'options.near' and 'far' leave nothing to be seen: objects lie between {begin:.3g} and {end:.3g} "
                f"from their cameras (got {options.near:g} and {'none' if options.far is None else options.far})"
            )

    # ------------------------------------------------------------------------------------------ observations

    def observe(self, signals: Signals, draws: Draws, *, training: bool) -> Batch:
        o, device = self.options, draws.device
        images = signals["images"].to(device)
        if training and o.recolour:
            images = recoloured(images, draws.fork("recolour"))
        images, background = self._composited(images, draws, training)
        size = (int(images.shape[-2]), int(images.shape[-1]))
        cameras = self.scene.placed(Cameras(signals["pose"].to(device), signals["intrinsics"].to(device), size))
        if size != self.scene.size:
            images = F.interpolate(images.flatten(0, 1), self.scene.size, mode="area").unflatten(0, images.shape[:2])
            cameras = cameras.resized(self.scene.size)
        values = images.transpose(1, 2)  # (B, 3, V, H, W)
        count = min(o.views, values.shape[2])
        label = signals["label"].to(device) if o.classes and "label" in signals else None
        support = self.scene.seen(values[:, :, :count], Rays(cameras[:, :count], background=background))
        if values.shape[2] == count:  # nothing else is known
            return Batch(support, support, label)
        values, where = values[:, :, count:], Rays(cameras[:, count:], background=background)
        query = self._some(values, where, draws) if training else self.scene.seen(values, where)
        return Batch(support, query, label)

    def _some(self, values: Tensor, where: Rays, draws: Draws) -> ViewObservation:
        """Rays drawn evenly among those that meet the box: the others show the background, whatever the params."""
        o, views = self.options, values.shape[2]
        each = max(1, min(o.query_rays // views, self.scene.size[0] * self.scene.size[1]))
        hits = self.scene.march.hits(where).unflatten(1, (views, -1))
        order = draws.uniform(*hits.shape[1:]) - hits.float()
        pixels = order.topk(each, largest=False).indices
        jitter = draws.uniform(views * each, o.samples)
        index = pixels[:, None].expand(-1, values.shape[1], -1, -1)
        return self.scene.seen(values.flatten(3).gather(3, index), attrs.evolve(where, pixels=pixels, jitter=jitter))

    def _composited(self, images: Tensor, draws: Draws, training: bool) -> tuple[Tensor, Tensor | None]:
        """(B, V, 3, H, W) on [-1, 1] over the background, which is (B, 3) where it is drawn at random."""
        values = images.float() / 127.5 - 1
        if images.shape[2] == 3:
            return values, None
        background = draws.uniform(3) * 2 - 1 if self.options.background == "random" and training else None
        behind = (
            values.new_full((), self.scene.background) if background is None else background[:, None, :, None, None]
        )
        return torch.lerp(behind, values[:, :, :3], (values[:, :, 3:] + 1) / 2), background

    def template(self, rows: int) -> ViewObservation:
        views = self.options.views
        values = torch.zeros(rows, 3, views, *self.scene.size)
        return self.scene.seen(values, Rays(self.scene.cameras({"orbit": str(views)})))

    # ------------------------------------------------------------------------------------------ the pipeline

    def measure(self, readout: Readout) -> Measure:
        o = self.options
        if isinstance(readout, LiteralReadout):
            raise UsageError(
                "the read-out 'literal' asks a field for twice the signal where noise is largest, but colours of rays "
                "lie within [-1, 1], so that white could not be shown; use 'direct' or 'two-headed'"
            )
        known = attrs.fields_dict(load_plugins().function(o.function).Options)
        own = {"extent": self.scene.extent} if "extent" in known else {}
        options = {**own, **o.function_options}
        function = make_function(o.function, options, axes=3, channels=1 + 3 * readout.heads)
        return Measure(function, self.scene.march, Preconditioning(o.sigma_data), readout)

    def denoiser(self, measure: Measure) -> Denoiser:
        o, function = self.options, measure.function
        if o.denoiser != "hyper":
            return make_denoiser(
                o.denoiser,
                o.denoiser_options,
                template=self.template(1),
                shapes=function.param_shapes,
                classes=o.classes or 0,
                measure=measure,
            )
        return HyperTransformer(
            RayTokenizer(o.patch, o.width, plucker=o.plucker),
            make_heads(
                function.param_shapes, function.head, o.width, groups=o.groups, start=function.token_positions()
            ),
            dim=o.width,
            depth=o.depth,
            decoder_depth=o.decoder_depth,
            attention_heads=o.heads,
            hidden=o.hidden,
            dropout=o.dropout,
            classes=o.classes or 0,
            aligned=self._unprojection(function),
        )

    def _unprojection(self, function: INRFunction) -> Unprojection | None:
        """For functions whose tokens have a place."""
        points = function.token_points(self.options.unproject) if self.options.unproject else None
        return None if points is None else Unprojection(points * REACH, self.options.width)
