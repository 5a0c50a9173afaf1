"""What options of NeRF objects, fitted to data, stand for: the views' size, the camera, and how rays are marched."""

from typing import final

import attrs
from torch import Tensor

from inrkit import UsageError
from inrkit_nerf.cameras import Cameras
from inrkit_nerf.march import MarchRays
from inrkit_nerf.observation import Rays, ViewObservation
from inrkit_nerf.options import NerfOptions
from inrkit_nerf.orbit import canonical


@final
@attrs.frozen
class Scene:
    """The world that objects stand in."""

    options: NerfOptions

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the views."""
        if self.options.size is None:
            raise UsageError("'options.size' is not set: fit the options to a source first, or set it")
        return self.options.size

    @property
    def complete(self) -> NerfOptions:
        """The options, which know the box, the cameras' distance and their focal length."""
        if self.options.box is None or self.options.radius is None or self.options.focal is None:
            raise UsageError("'options.box', 'radius' and 'focal' are not set: fit the options to a source first")
        return self.options

    @property
    def camera(self) -> Cameras:
        """Where a view stands of which nothing is known."""
        return canonical(self.complete, self.size)

    @property
    def background(self) -> float:
        """The background of all that is rendered, on [-1, 1]."""
        return -1.0 if self.options.background == "black" else 1.0

    @property
    def march(self) -> MarchRays:
        """How objects are rendered."""
        o = self.complete
        assert o.box is not None
        return MarchRays(
            o.box[:3],
            o.box[3:],
            near=o.near,
            far=float("inf") if o.far is None else o.far,
            samples=o.render_samples,
            background=self.background,
            mip=bool(o.function_options.get("mip", False)),
            occupancy=o.occupancy,
        )

    def seen(self, values: Tensor, where: Rays) -> ViewObservation:
        """Values (B, 3, V, H, W), or (B, 3, V, P), measured along rays."""
        return ViewObservation(values, where, self.options.shared_noise)
