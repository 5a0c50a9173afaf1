"""What can be set for images, and presets that are known to work."""

from collections.abc import Mapping
from typing import Any

import attrs

from inrkit import GridOptions, at_least, between, option, tiny_preset
from inrkit_image.papers import NETWORK, PAPERS

_HYPER = ("denoiser", "hyper")
_SHARE, _TURN = between(0, 1), between(0, 180)


@attrs.frozen
class ImageOptions(GridOptions):
    """Options of the image modality: those of any grid, with other defaults."""

    count: int = option(20_000, "number of synthetic training images (faces), where no data set is given", at_least(1))
    largest: int | None = option(
        64,
        "where 'size' is taken from the data: at most so many pixels along a side; none: any number",
        at_least(1),
    )
    scale: float = option(1.0, "data augmentation: random scaling by a factor of up to this, or 1 over it", at_least(1))
    rotate: float = option(0.0, "data augmentation: random rotations by up to so many degrees, either way", _TURN)
    colour: float = option(
        0.0,
        "data augmentation: random brightness, contrast, saturation and hue; 0: none, .2: a little, 1: a lot",
        at_least(0),
    )
    cutout: float = option(
        0.0, "data augmentation: a grey rectangle of up to this share of the sides (cutout); for augment_labels", _SHARE
    )
    patch: int | None = option(4, "patch size of the transformer's input, in pixels", at_least(1))
    width: int = option(256, "embedding dimension of the transformer", at_least(4), of=_HYPER)
    depth: int = option(3, "transformer encoder blocks", at_least(1), of=_HYPER)
    decoder_depth: int = option(2, "transformer decoder blocks; 0: patches become INR tokens", at_least(0), of=_HYPER)
    hidden: int = option(1024, "hidden dimension of the feed-forward layers", at_least(1), of=_HYPER)
    token_patch: int | None = option(4, "side in pixels of the square that each INR token stands for", at_least(1))
    inr_width: int = option(64, "dimension of the INR's tokens and of its hidden layers", at_least(4))


# Embedded faces, learned on a laptop's processor in minutes, whether it multiplies in fp32 or bf16: a narrow network
# with small patches takes enough steps in that time.
_TINY = {**tiny_preset(1000, 32, patch=4, width=128, heads=2, hidden=512), "lr": 3e-3}


def _tiny(summary: str, **options: Any) -> Mapping[str, Any]:
    """The same training with other parts: for each, about as many operations in a step."""
    return {**_TINY, "summary": f"tiny with {summary}", "options": {**_TINY["options"], **options}}


def _recommended(summary: str, steps: int, **options: Any) -> Mapping[str, Any]:
    """Our own settings with a network, a batch and as many steps as a paper has."""
    return {
        **tiny_preset(steps, 128, **options),
        "lr": 3e-4,
        "summary": summary,
        "save_every": 5000,
        "sample_every": 5000,
    }


# Faces have few dimensions, and gain from it; photographs lose (docs/recipe.md).
_DIFFUSION_FIRST = [{"objective": "diffusion", "share": 0.4}, {"objective": "inrct", "share": 0.6}]

_TINY_MLP = {"width": 48, "depth": 5, "frequencies": 8, "octaves": 4.0}
# What is held to the values of pixels wherever it is asked within them shows pixels when it is enlarged.
_TINY_WINDOWS = {"function": "windows", "inr_width": 96}
_TINY_ENCODER = {"depth": 5, "decoder_depth": 0, "width": 160, "heads": 4, "hidden": 480}
_TINY_UNET = {"width": 16, "multipliers": [1, 2, 2], "blocks": 2}
_TINY_UVIT = {"patch": 4, "width": 160, "depth": 3}
_TINY_DIT = {"patch": 4, "width": 160, "depth": 5, "hidden": 480}

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "tiny": _TINY,
    "faces": {**_TINY, "summary": "tiny for the synthetic faces: first a diffusion model", "phases": _DIFFUSION_FIRST},
    # The same faces with what INRCT is compared with (CM-Func, Table 2).
    "tiny-mlp": _tiny("an MLP as INR", function="mlp", function_options=_TINY_MLP),
    "tiny-windows": _tiny("windows as INR, which encodes better", **_TINY_WINDOWS, interpolate=True),
    # Nearer to photographs than with a decoder, after an hour of training (docs/recipe.md).
    "tiny-encoder": _tiny(
        "an encoder alone and windows as INR, for an hour or more",
        **_TINY_WINDOWS,
        **_TINY_ENCODER,
    ),
    "tiny-unet": _tiny("a U-Net and no INR", function="grid", denoiser="unet", denoiser_options=_TINY_UNET),
    "tiny-uvit": _tiny("a U-ViT and no INR", function="grid", denoiser="uvit", denoiser_options=_TINY_UVIT),
    "tiny-dit": _tiny("a DiT and no INR", function="grid", denoiser="dit", denoiser_options=_TINY_DIT),
    # The same settings at the size of the papers, which have presets of their own in inrkit_image.papers.
    "cifar10": _recommended(
        "recommended for CIFAR-10, on GPUs", 673_828, size=[32, 32], **{**NETWORK, "token_patch": 2}, flip=True
    ),
    "celeba-64": _recommended(
        "recommended for CelebA at 64 x 64, on GPUs", 448_242, size=[64, 64], **NETWORK, flip=True
    ),
    **PAPERS,
}
