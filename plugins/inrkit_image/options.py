"""What can be set for images, and presets that are known to work."""

from collections.abc import Mapping
from typing import Any, Literal

import attrs

from inrkit import UsageError, at_least, option


def _size(instance: Any, attribute: Any, value: tuple[int, int] | None) -> None:
    if value is not None and (len(value) != 2 or min(value) < 1):
        raise UsageError(f"'{attribute.name}' must be two positive numbers, height and width (got {value})")


@attrs.frozen
class ImageOptions:
    """Options of the image modality; every field is a config key under ``options``."""

    size: tuple[int, int] | None = option(None, "height and width of the network's input; none: from the data", _size)
    query_size: tuple[int, int] | None = option(
        None, "resolution of the training target; none: the same as 'size'", _size
    )
    channels: int | None = option(None, "number of channels; none: as in the data", at_least(1))
    classes: int | None = option(0, "classes that the network is conditioned on; 0: unconditional", at_least(0))
    count: int = option(20_000, "number of synthetic training images (faces), where no data set is given", at_least(1))
    flip: bool = option(False, "data augmentation: random horizontal flips")
    sigma_data: float = option(0.5, "standard deviation of the clean pixel values in [-1, 1] (EDM's sigma_data)")

    patch: int = option(4, "patch size of the transformer's input, in pixels", at_least(1))
    width: int = option(256, "embedding dimension of the transformer", at_least(4))
    depth: int = option(3, "transformer encoder blocks", at_least(1))
    decoder_depth: int = option(2, "transformer decoder blocks", at_least(1))
    heads: int = option(4, "attention heads of the transformer", at_least(1))
    hidden: int = option(1024, "hidden dimension of the feed-forward layers", at_least(1))
    dropout: float = option(0.0, "dropout probability in the feed-forward layers", at_least(0))

    token_patch: int = option(4, "side in pixels of the square that each INR token stands for", at_least(1))
    inr_width: int = option(64, "dimension of the INR's tokens and of its hidden layers", at_least(4))
    inr_inner: int = option(64, "dimension of the INR's attention (all heads together)", at_least(1))
    inr_heads: int = option(2, "attention heads of the INR's localized attention layer", at_least(1))
    inr_depth: int = option(3, "layers of the INR's MLP, which follows the attention", at_least(1))
    max_frequency: float | None = option(
        None, "highest Fourier-feature frequency; none: Nyquist of the training target"
    )
    threshold: float = option(0.0, "attention weights below this become zero (ANR: 0.0015); 0 is faster", at_least(0))
    localized: bool = option(True, "initialise so that each INR token attends to its own place in the image")
    function: str = option("anr", "implicit function (INR architecture), by its registered name: anr, mlp, grid, siren")
    function_options: dict[str, Any] = attrs.field(
        factory=dict,
        metadata={"help": "options of the implicit function; those of anr can also be set by the keys above"},
    )
    denoiser: str = option("hyper", "network that predicts the INR's params: hyper, unet, uvit, dit, functa")
    denoiser_options: dict[str, Any] = attrs.field(
        factory=dict, metadata={"help": "options of that network; those of hyper are the keys above"}
    )
    groups: int = option(16, "weight tokens per layer of a function such as mlp (as in TransINR)", at_least(1))
    jitter: Literal["none", "shared", "each"] = option(
        "shared", "variational coordinates (ANR): one shift per batch or per image"
    )
    query_points: int = option(0, "pixels of the query used in a training step; 0 for all", at_least(0))


_PAPER_64 = {
    "size": [64, 64],
    "sigma_data": 0.5,
    "patch": 4,
    "width": 768,
    "depth": 8,
    "decoder_depth": 6,
    "heads": 12,
    "hidden": 3072,
    "token_patch": 4,
    "inr_width": 512,
    "inr_inner": 384,
    "inr_heads": 6,
    "inr_depth": 5,
    "jitter": "each",
}

# Embedded faces, learned on a laptop's processor in minutes.
_TINY: Mapping[str, Any] = {
    "steps": 800,
    "batch_size": 64,
    "optimizer": "muon",
    "lr": 2e-3,
    "sample_every": 160,
    "save_every": 160,
    "objective_options": {
        "distance": "squared",
        "weight_gene": "t/(t-r)",
        "lambda_recon": 10.0,
        "p_mean": 0.0,
        "p_std": 1.8,
        "stages": 6,
    },
    "options": {"size": [32, 32], "patch": 8, "width": 384, "heads": 6, "hidden": 768},
}


def _tiny(**options: Any) -> Mapping[str, Any]:
    """The same training with other parts: for each, about as many operations in a step."""
    return {**_TINY, "options": {**_TINY["options"], **options}}


_TINY_MLP = {"width": 64, "depth": 5, "frequencies": 8, "octaves": 4.0}
_TINY_UNET = {"width": 28, "multipliers": [1, 2, 2], "blocks": 2}
_TINY_UVIT = {"patch": 4, "width": 256, "depth": 5}
_TINY_DIT = {"patch": 4, "width": 256, "depth": 6, "hidden": 768}

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "tiny": _TINY,
    # The same faces with what INRCT is compared with (CM-Func, Table 2).
    "tiny-mlp": _tiny(function="mlp", function_options=_TINY_MLP),
    "tiny-unet": _tiny(function="grid", denoiser="unet", denoiser_options=_TINY_UNET),
    "tiny-uvit": _tiny(function="grid", denoiser="uvit", denoiser_options=_TINY_UVIT),
    "tiny-dit": _tiny(function="grid", denoiser="dit", denoiser_options=_TINY_DIT),
    "cifar10": {
        "steps": 625_000,
        "batch_size": 128,
        "lr": 1e-4,
        "options": {**_PAPER_64, "size": [32, 32], "token_patch": 2, "flip": True},
    },
    "celeba-hq-64": {"steps": 448_242, "batch_size": 128, "lr": 1e-4, "options": _PAPER_64},
    "celeba-hq-128": {
        "steps": 448_242,
        "batch_size": 128,
        "lr": 1e-4,
        "options": {**_PAPER_64, "size": [128, 128], "patch": 8, "token_patch": 8},
    },
}
