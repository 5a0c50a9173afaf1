"""NeRF objects: one or a few posed views in, a radiance field out, measured along rays."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, final

import attrs
import torch
from torch import Tensor
from torch.nn import functional as F

from inrkit import (
    Batch,
    Draws,
    HyperTransformer,
    Modality,
    Params,
    Pipeline,
    Preconditioning,
    Readout,
    Signals,
    Source,
    Surface,
    UsageError,
    make_function,
    make_heads,
)
from inrkit_nerf.cameras import Cameras
from inrkit_nerf.cars import Cars
from inrkit_nerf.files import read_objects, write_views
from inrkit_nerf.march import MarchRays
from inrkit_nerf.observation import Rays, ViewObservation
from inrkit_nerf.options import PRESETS, NerfOptions
from inrkit_nerf.orbit import cameras_of, canonical
from inrkit_nerf.stored import StoredViews
from inrkit_nerf.tokenizer import RayTokenizer
from inrkit_nerf.views import ViewSource

HELD_OUT = 500
"""Embedded objects of the test split."""

_SOLID = 15.0  # density of a surface: half the light is lost within a twentieth of a typical object
_AT_ONCE = 4  # views of a turntable that are rendered at a time
_SHOWN = 8  # views beside each other in a picture


@final
class NerfModality(Modality):
    """Posed views, a generated MLP as radiance field, and ray marching."""

    name = "nerf"
    summary = "objects seen from posed cameras, as radiance fields"
    Options = NerfOptions
    presets = PRESETS
    shown_at: ClassVar[Mapping[str, str]] = {"orbit": "4"}
    known_failures: ClassVar[Mapping[str, str]] = {
        "imports_what_it_writes": "pictures are written, and those do not say where the cameras stood"
    }

    options: NerfOptions

    # ------------------------------------------------------------------------------------------ data

    def source(self, data: Path | None, split: str) -> Source:
        o, training = self.options, split == "train"
        if data is None:
            views: Any = Cars(split, o.count if training else HELD_OUT, o.size or (32, 32), o.object_views)
        else:
            views = StoredViews(data, split)
        return ViewSource(views, training=training, support=o.views, extra=o.query_views, most=o.test_views)

    def fitted(self, source: Source) -> NerfOptions:
        facts, options = source.facts, self.options
        if options.size is None:
            options = attrs.evolve(options, size=tuple(facts["size"]))
        for name in ("box", "radius", "focal"):
            if getattr(options, name) is None:
                found = facts[name]
                chosen: dict[str, Any] = {name: (*found[0], *found[1]) if name == "box" else float(found)}
                options = attrs.evolve(options, **chosen)
        if options.background == "random" and facts["channels"] != 4:
            raise UsageError("'options.background' is random, but the data's views have no opacity; use white or black")
        if facts["views"] <= options.views:
            raise UsageError(
                f"'options.views' is {options.views}, but objects have {facts['views']} views; leave some over"
            )
        return options

    def read(self, paths: Sequence[Path]) -> tuple[Signals, Sequence[str]]:
        return read_objects(paths, self._size, self.options.views, canonical(self._fitted, self._size))

    # ------------------------------------------------------------------------------------------ observations

    def observe(self, signals: Signals, draws: Draws, *, training: bool) -> Batch:
        o, device = self.options, draws.device
        images, background = self._composited(signals["images"].to(device), draws, training)
        size = (int(images.shape[-2]), int(images.shape[-1]))
        cameras = Cameras(signals["pose"].to(device), signals["intrinsics"].to(device), size)
        if size != self._size:
            images = F.interpolate(images.flatten(0, 1), self._size, mode="area").unflatten(0, images.shape[:2])
            cameras = cameras.resized(self._size)
        values = images.transpose(1, 2)  # (B, 3, V, H, W)
        count = min(o.views, values.shape[2])
        support = self._seen(values[:, :, :count], Rays(cameras[:, :count], background=background))
        if values.shape[2] == count:  # nothing else is known
            return Batch(support, support)
        values, where = values[:, :, count:], Rays(cameras[:, count:], background=background)
        query = self._some(values, where, draws) if training else self._seen(values, where)
        return Batch(support, query)

    def _seen(self, values: Tensor, where: Rays) -> ViewObservation:
        return ViewObservation(values, where, self.options.shared_noise)

    def _some(self, values: Tensor, where: Rays, draws: Draws) -> ViewObservation:
        """Rays drawn evenly among those that meet the box: the others show the background, whatever the params."""
        o, views = self.options, values.shape[2]
        each = max(1, min(o.query_rays // views, self._size[0] * self._size[1]))
        hits = self._march.hits(where).unflatten(1, (views, -1))
        order = draws.uniform(*hits.shape[1:]) - hits.float()
        pixels = order.topk(each, largest=False).indices
        jitter = draws.uniform(views * each, o.samples)
        index = pixels[:, None].expand(-1, values.shape[1], -1, -1)
        return self._seen(values.flatten(3).gather(3, index), attrs.evolve(where, pixels=pixels, jitter=jitter))

    def _composited(self, images: Tensor, draws: Draws, training: bool) -> tuple[Tensor, Tensor | None]:
        """(B, V, 3, H, W) on [-1, 1] over the background, which is (B, 3) where it is drawn at random."""
        values = images.float() / 127.5 - 1
        if images.shape[2] == 3:
            return values, None
        opacity = (values[:, :, 3:] + 1) / 2
        if self.options.background == "random" and training:
            background = draws.uniform(3) * 2 - 1
            return torch.lerp(background[:, None, :, None, None], values[:, :, :3], opacity), background
        behind = torch.full((), self._behind, device=images.device)
        return torch.lerp(behind, values[:, :, :3], opacity), None

    def template(self, rows: int) -> ViewObservation:
        camera = canonical(self._fitted, self._size)
        values = torch.zeros(rows, 3, self.options.views, *self._size)
        return self._seen(values, Rays(camera[:, [0] * self.options.views]))

    # ------------------------------------------------------------------------------------------ the pipeline

    def build(self, readout: Readout) -> Pipeline:
        o = self.options
        function = make_function(o.function, o.function_options, axes=3, channels=1 + 3 * readout.heads)
        denoiser = HyperTransformer(
            RayTokenizer(o.patch, o.width, plucker=o.plucker),
            make_heads(function.param_shapes, function.head, o.width, groups=o.groups),
            dim=o.width,
            depth=o.depth,
            decoder_depth=o.decoder_depth,
            attention_heads=o.heads,
            hidden=o.hidden,
            dropout=o.dropout,
        )
        return Pipeline(denoiser, function, self._march, Preconditioning(o.sigma_data), readout)

    @property
    def _march(self) -> MarchRays:
        o = self._fitted
        assert o.box is not None
        return MarchRays(
            o.box[:3],
            o.box[3:],
            near=o.near,
            far=float("inf") if o.far is None else o.far,
            samples=o.render_samples,
            background=self._behind,
            mip=bool(o.function_options.get("mip", False)),
            occupancy=o.occupancy,
        )

    # ------------------------------------------------------------------------------------------ showing

    def places(self, request: Mapping[str, str]) -> Sequence[Rays]:
        cameras = cameras_of(request, self._fitted, self._size)
        return [Rays(cameras[:, i : i + _AT_ONCE]) for i in range(0, cameras.pose.shape[1], _AT_ONCE)]

    def pictures(self, values: Tensor) -> Tensor:
        views = values[:, :, :: -(-values.shape[2] // _SHOWN)]
        return ((views.float() + 1) / 2).clamp(0, 1).transpose(2, 3).flatten(3)

    def compared(self, batch: Batch) -> ViewObservation:
        return self._seen(batch.support.values[:, :, :1], Rays(batch.support.where.cameras[:, :1]))

    def truth(self, source: Source, numbers: Sequence[int], where: Rays) -> Tensor | None:
        if not isinstance(source, ViewSource):
            return None
        known = source.objects.truth(source.chosen(numbers)[0], where.cameras)
        return None if known is None else known.transpose(1, 2) * 2 - 1

    def surface(self, pipeline: Pipeline, params: Params) -> Surface:
        """Where the density says that about half the light of a step through the box is lost."""
        march, field = self._march, pipeline.function.bind(params)
        density = march.density(field)

        def colours(points: Tensor) -> Tensor:
            return (march.colours(field)(points[None])[0] + 1) / 2

        return Surface(
            lambda points: density(points[None])[0],
            _SOLID,
            tuple(march.low.tolist()),
            tuple(march.high.tolist()),
            colours,
        )

    def write(self, values: Sequence[Tensor], path: Path) -> Path:
        return write_views(torch.cat([(value + 1) / 2 for value in values], 1), path)

    # ------------------------------------------------------------------------------------------ resolved options

    @property
    def _size(self) -> tuple[int, int]:
        if self.options.size is None:
            raise UsageError("'options.size' is not set: fit the options to a source first, or set it")
        return self.options.size

    @property
    def _fitted(self) -> NerfOptions:
        if self.options.box is None or self.options.radius is None or self.options.focal is None:
            raise UsageError("'options.box', 'radius' and 'focal' are not set: fit the options to a source first")
        return self.options

    @property
    def _behind(self) -> float:
        """The background of all that is rendered, on [-1, 1]."""
        return -1.0 if self.options.background == "black" else 1.0
