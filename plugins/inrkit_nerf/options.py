"""What can be set for NeRF objects, and presets that are known to work."""

from collections.abc import Mapping
from typing import Any, Literal

import attrs

from inrkit import UsageError, at_least, option


def _size(instance: Any, attribute: Any, value: tuple[int, int] | None) -> None:
    if value is not None and (len(value) != 2 or min(value) < 1):
        raise UsageError(f"'{attribute.name}' must be two positive numbers, height and width (got {value})")


def _box(instance: Any, attribute: Any, value: tuple[float, ...] | None) -> None:
    if value is not None and (len(value) != 6 or any(a >= b for a, b in zip(value[:3], value[3:], strict=True))):
        raise UsageError(f"'box' must be x, y, z of its lower and then of its upper corner (got {value})")


def _far(instance: Any, attribute: Any, value: float | None) -> None:
    if value is not None and value <= instance.near:
        raise UsageError(f"'near' must be below 'far' (got {instance.near} and {value})")


@attrs.frozen
class NerfOptions:
    """Options of the NeRF modality; every field is a config key under ``options``.

    Box, distances, camera and background belong to the model: a field means nothing outside of what it was trained in.
    """

    size: tuple[int, int] | None = option(None, "height, width of the views; from the data", _size)
    views: int = option(1, "views of an object that the network reads", at_least(1))
    query_views: int = option(4, "other views that it is held to in a training step", at_least(1))
    query_rays: int = option(96, "rays of these views together", at_least(1))
    test_views: int = option(24, "other views that a held-out object is tested on, at most", at_least(1))
    shared_noise: bool = option(True, "queries see the noise of the first view; else noise of their own")
    sigma_data: float = option(0.5, "standard deviation of the values")
    count: int = option(2000, "objects of the embedded training set", at_least(1))
    object_views: int = option(10, "views of each of them", at_least(2))

    box: tuple[float, ...] | None = option(None, "corners of what holds every object; from the data", _box)
    near: float = option(0.0, "no ray is followed nearer to its camera", at_least(0))
    far: float | None = option(None, "nor farther", _far)
    radius: float | None = option(None, "distance of the canonical camera; from the data", at_least(0))
    focal: float | None = option(None, "its focal length in image widths; from the data", at_least(0))
    elevation: float = option(25.0, "its height over the ground, in degrees")
    azimuth: float = option(35.0, "its direction, in degrees from the x axis")
    background: Literal["white", "black", "random"] = option("white", "behind objects whose views have opacity")

    samples: int = option(16, "samples on a ray in training", at_least(1))
    render_samples: int = option(48, "samples on a ray otherwise", at_least(1))
    occupancy: int = option(32, "cells a side of the grid that tells where an object is empty; 0 for none")

    patch: int = option(8, "side of the patches that the network reads", at_least(1))
    plucker: bool = option(False, "describe rays by direction and moment instead of by direction and origin")
    width: int = option(256, "width of the transformer", at_least(4))
    depth: int = option(4, "encoder blocks", at_least(1))
    decoder_depth: int = option(2, "decoder blocks", at_least(1))
    heads: int = option(4, "attention heads of the transformer", at_least(1))
    hidden: int = option(768, "width of the feed-forward layers", at_least(1))
    dropout: float = option(0.0, "dropout in the feed-forward layers", at_least(0))

    function: str = option("mlp", "implicit function, by its registered name: mlp, triplane")
    function_options: dict[str, Any] = attrs.field(factory=dict, metadata={"help": "options of the function"})
    groups: int = option(16, "tokens that write a layer of the function", at_least(1))


_TINY_OBJECTIVE = {
    "distance": "squared",
    "weight_gene": "t/(t-r)",
    "clean_share": 0.25,
    "lambda_recon": 4.0,
    "p_mean": 0.5,
    "p_std": 1.8,
    "stages": 6,
}

PRESETS: Mapping[str, Mapping[str, Any]] = {
    # Embedded cars, learned on a laptop's processor in minutes.
    "tiny": {
        "steps": 3000,
        "batch_size": 48,
        "optimizer": "muon",
        "lr": 2e-3,
        "sample_every": 600,
        "save_every": 600,
        "objective_options": _TINY_OBJECTIVE,
        "options": {
            "size": [32, 32],
            "function_options": {"width": 64, "depth": 4, "frequencies": 6, "octaves": 5.0},
        },
    },
    # The paper's: 128 x 128 views, patches of 8, 8 + 6 blocks of width 768.
    "srn-cars": {
        "steps": 448_242,
        "batch_size": 32,
        "lr": 1e-4,
        "options": {
            "size": [128, 128],
            "query_rays": 128,
            "samples": 64,
            "render_samples": 64,
            "near": 0.8,
            "far": 1.8,
            "width": 768,
            "depth": 8,
            "decoder_depth": 6,
            "heads": 12,
            "hidden": 3072,
            "groups": 32,
            "function_options": {"width": 256, "depth": 6, "frequencies": 20, "octaves": 8.0},
        },
    },
}
