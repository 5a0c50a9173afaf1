"""NeRF objects as people look at them and keep them: turntables, pictures of views, meshes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, final

import torch
from torch import Tensor

from inrkit import Batch, Display, Measure, Params, Signals, Source, Surface, UsageError, View, heat, psnr
from inrkit_nerf.backdrop import backdrop_of
from inrkit_nerf.formats.files import read_objects, write_views
from inrkit_nerf.observation import Rays, ViewObservation
from inrkit_nerf.scene import Scene
from inrkit_nerf.views import ViewSource

_SOLID = 15.0  # density of a surface: half the light is lost within a twentieth of a typical object
_AT_ONCE = 4  # views of a turntable that are rendered at a time
_SHOWN = 8  # views beside each other in a picture


@final
class NerfDisplay(Display):
    """Views of objects, from anywhere."""

    preview: ClassVar[Mapping[str, str]] = {"orbit": "4"}

    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    def places(self, request: Mapping[str, str]) -> Sequence[Rays]:
        cameras = self.scene.cameras(request)
        return [Rays(cameras[:, i : i + _AT_ONCE]) for i in range(0, cameras.pose.shape[1], _AT_ONCE)]

    def pictures(self, values: Tensor) -> Tensor:
        views = values[:, :, :: -(-values.shape[2] // _SHOWN)]
        return ((views.float() + 1) / 2).clamp(0, 1).transpose(2, 3).flatten(3)

    def views(self, values: Tensor) -> Tensor:
        if values.ndim != 5:
            raise UsageError("some pixels of views are no pictures; ask for whole views")
        return ((values.float() + 1) / 2).clamp(0, 1).transpose(1, 2).flatten(0, 1)

    def read(self, paths: Sequence[Path]) -> tuple[Signals, Sequence[str]]:
        scene = self.scene
        return read_objects(paths, scene.size, scene.options.views, scene.world_cameras({}), scene.background)

    def fitting(self, size: tuple[int, ...]) -> str:
        (height, width), new = size, self.scene.size
        if (height, width) == new:
            return ""
        stretched = "" if abs(width * new[0] / (height * new[1]) - 1) < 0.02 else ", not in proportion"
        return f"{new[1]} x {new[0]} from {width} x {height}{stretched}"

    def remarks(self, signals: Signals) -> Sequence[str]:
        expected, bent = self.scene.options.background, signals["bent"].tolist()
        found = [backdrop_of(each.movedim(1, -1).numpy()) for each in signals["images"]]
        return [
            "; ".join(
                ["the distortion of its lens is undone"] * lens
                + [f"the model knows objects before {expected}; what is before another is taken for a part of it"]
                * (expected != "random" and behind != expected)
            )
            for behind, lens in zip(found, bent, strict=True)
        ]

    def write(self, values: Sequence[Tensor], path: Path) -> Path:
        return write_views(torch.cat([(value + 1) / 2 for value in values], 1), path)

    def depth_values(self, depth: Sequence[Tensor]) -> Sequence[Tensor]:
        """Near is bright and behind the object is black, alike in all views."""
        distance = torch.cat(list(depth), 1)[0]
        known = distance[distance.isfinite()]
        low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
        brightness = 1 - 0.8 * (distance - low) / max(high - low, 1e-6)  # 0 where it is infinite, which heat clamps
        values = heat(brightness.clamp_min(0)).transpose(0, 1) * 2 - 1
        return list(torch.split(values, [part.shape[1] for part in depth], 1))

    def reference(self, batch: Batch) -> ViewObservation:
        return self.scene.seen(batch.support.values[:, :, :1], Rays(batch.support.where.cameras[:, :1]))

    def metrics(self, shown: Tensor, truth: Tensor) -> Mapping[str, Tensor]:
        """Of each view by itself, as papers count, averaged over those of an object."""
        if shown.ndim != 5:
            return {}
        each = [x.clamp(-1, 1).transpose(1, 2).flatten(0, 1) for x in (shown, truth)]
        return {"mean PSNR of single views, dB ↑": psnr(*each, peak=2).unflatten(0, (len(shown), -1)).mean(1)}

    def truth(self, source: Source, numbers: Sequence[int], where: Rays) -> Tensor | None:
        if not isinstance(source, ViewSource):
            return None
        known = source.objects.truth(source.chosen(numbers)[0], where.cameras)
        return None if known is None else known.transpose(1, 2) * 2 - 1

    def view(self) -> View:
        scene, march = self.scene, self.scene.march
        _, radius, focal, target = scene.measures
        return View(
            shape="rays",
            glsl="""float density(vec4 y[OUTPUTS]) {
  float raw = y[0].x - 3.0;
  return 20.0 * (max(raw, 0.0) + log(1.0 + exp(-abs(raw))));
}
vec3 colour(vec4 y[OUTPUTS]) { return 1.0 / (1.0 + exp(-y[0].yzw)); }""",
            facts={
                "low": march.low.tolist(),
                "high": march.high.tolist(),
                "near": march.near,
                "far": min(march.far, 1e9),
                "reach": march.reach,
                "samples": march.samples,
                "background": (march.background + 1) / 2,
                "mip": march.mip,
                "size": list(scene.size),
                "target": scene.inner(torch.tensor(target)).tolist(),
                "radius": radius * scene.scale,
                "focal": focal,
                "elevation": scene.options.elevation,
                "azimuth": scene.options.azimuth,
            },
        )

    def surface(self, measure: Measure, params: Params) -> Surface:
        """Where the density says that about half the light of a step through the box is lost."""
        scene, march = self.scene, self.scene.march
        field, device = measure.function.bind(params), next(iter(params.values())).device
        density, colours, box = march.density(field), march.colours(field), scene.measures[0]
        return Surface(
            lambda points: density(scene.inner(points)[None].to(device))[0],
            _SOLID,
            box[:3],
            box[3:],
            lambda points: (colours(scene.inner(points)[None].to(device))[0] + 1) / 2,
        )
