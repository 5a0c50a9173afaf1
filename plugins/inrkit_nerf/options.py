"""What can be set for NeRF objects, and presets that are known to work."""

from collections.abc import Mapping
from typing import Any, Literal

import attrs

from inrkit import UsageError, at_least, option, tiny_preset
from inrkit_nerf.papers import NETWORK, PAPERS

_HYPER = ("denoiser", "hyper")


def _size(instance: Any, attribute: Any, value: tuple[int, int] | None) -> None:
    if value is not None and (len(value) != 2 or min(value) < 1):
        raise UsageError(f"'{attribute.name}' must be two positive numbers, height and width (got {value})")


def _box(instance: Any, attribute: Any, value: tuple[float, ...] | None) -> None:
    if value is not None and (len(value) != 6 or any(a >= b for a, b in zip(value[:3], value[3:], strict=True))):
        raise UsageError(f"'box' must be x, y, z of its lower and then of its upper corner (got {value})")


def _point(instance: Any, attribute: Any, value: tuple[float, ...] | None) -> None:
    if value is not None and len(value) != 3:
        raise UsageError(f"'{attribute.name}' must be x, y and z (got {value})")


def _far(instance: Any, attribute: Any, value: float | None) -> None:
    if value is not None and value <= instance.near:
        raise UsageError(f"'near' must be below 'far' (got {instance.near} and {value})")


@attrs.frozen
class NerfOptions:
    """Options of the NeRF modality; every field is a config key under ``options``.

    Box, distances, camera and background belong to the model: a field means nothing outside of what it was trained in.
    """

    size: tuple[int, int] | None = option(None, "height and width of the views; none: as in the data", _size)
    views: int = option(1, "input (support) views of each object", at_least(1))
    query_views: int = option(4, "query views of each object that the training loss is computed on", at_least(1))
    query_rays: int = option(96, "rays per object in a training step, sampled from its query views", at_least(1))
    test_views: int = option(24, "novel views of each held-out object used in evaluation, at most", at_least(1))
    shared_noise: bool = option(True, "query views share the noise of the first support view")
    classes: int | None = option(0, "classes that the network is conditioned on; 0: unconditional", at_least(0))
    sigma_data: float = option(0.5, "standard deviation of the clean pixel values in [-1, 1] (EDM's sigma_data)")
    count: int = option(2000, "number of synthetic training objects (cars), where no data set is given", at_least(1))
    object_views: int = option(10, "views of each synthetic object", at_least(2))
    recolour: bool = option(False, "data augmentation: the colour channels of each object in a random order")

    box: tuple[float, ...] | None = option(
        None, "bounding box of the objects: x, y, z of its low, then of its high corner; none: from the data", _box
    )
    near: float = option(0.0, "near plane: distance from the camera at which rays begin", at_least(0))
    far: float | None = option(None, "far plane: distance from the camera at which rays end; none: no limit", _far)
    radius: float | None = option(None, "distance of the canonical camera; none: from the data", at_least(0))
    target: tuple[float, ...] | None = option(None, "point the canonical camera looks at; none: from the data", _point)
    focal: float | None = option(None, "focal length in image widths; none: from the data", at_least(0))
    elevation: float = option(25.0, "elevation of the canonical camera over the horizon, in degrees")
    azimuth: float = option(35.0, "azimuth of the canonical camera, in degrees from the x axis")
    background: Literal["white", "black", "random"] = option("white", "background of views with an alpha channel")

    samples: int = option(16, "samples per ray in training", at_least(1))
    render_samples: int = option(48, "samples per ray in rendering and evaluation", at_least(1))
    occupancy: int = option(32, "resolution, at most, of the occupancy grid, which skips what is not seen; 0: none")
    traversal: bool = option(
        False, "walk through that grid with nerfacc's CUDA kernels (nvcc compiles them); not tried on a GPU yet"
    )

    denoiser: str = option("hyper", "network that predicts the params, by its registered name: hyper, functa")
    denoiser_options: dict[str, Any] = attrs.field(factory=dict, metadata={"help": "options of another denoiser"})
    patch: int = option(8, "patch size of the transformer's input, in pixels", at_least(1), of=_HYPER)
    plucker: bool = option(False, "describe rays by Plücker coordinates instead of origin and direction", of=_HYPER)
    unproject: int = option(
        4,
        "what views show within the block of each token is told to it, at so many places along each side (as in "
        "pixelNeRF); 0: nothing. For functions whose tokens have a place: voxels",
        at_least(0),
        of=_HYPER,
    )
    width: int = option(256, "embedding dimension of the transformer", at_least(4), of=_HYPER)
    depth: int = option(4, "transformer encoder blocks", at_least(1), of=_HYPER)
    decoder_depth: int = option(2, "transformer decoder blocks", at_least(1), of=_HYPER)
    heads: int = option(4, "attention heads of the transformer", at_least(1), of=_HYPER)
    hidden: int = option(768, "hidden dimension of the feed-forward layers", at_least(1), of=_HYPER)
    dropout: float = option(0.0, "dropout probability in the feed-forward layers", at_least(0), of=_HYPER)

    function: str = option("mlp", "implicit function (radiance field), by its registered name: mlp, voxels, triplane")
    function_options: dict[str, Any] = attrs.field(factory=dict, metadata={"help": "options of the implicit function"})
    groups: int = option(16, "weight tokens per layer of the function (as in TransINR)", at_least(1))


_TINY = tiny_preset(
    3000, 48, size=[32, 32], function_options={"width": 64, "depth": 4, "frequencies": 6, "octaves": 5.0}
)
PRESETS: Mapping[str, Mapping[str, Any]] = {
    # Embedded cars, learned on a laptop's processor in minutes.
    "tiny": _TINY,
    # The values of a grid as radiance field; it can follow what is asked of it, so that more of that pays.
    "tiny-voxels": {
        **_TINY,
        "summary": "tiny with voxels as radiance field, which encode better; for thousands of objects",
        "objective_options": {"clean_share": 0.4},
        "options": {
            **_TINY["options"],
            "function": "voxels",
            "function_options": {},
            "query_rays": 192,
            "samples": 24,
        },
    },
    # The same settings at the size of the paper, which has a preset of its own in inrkit_nerf.papers.
    "cars": {
        **tiny_preset(115_219, 128, **NETWORK),
        "summary": "recommended for SRN cars at 128 x 128, on GPUs",
        "lr": 3e-4,
        "save_every": 5000,
        "sample_every": 5000,
    },
    **PAPERS,
}
