"""Published systems as presets: every number is the paper's, or stands in docs/papers.md with why it is another.

Nobody has trained them at this size with inrkit. What we recommend for the same data are the presets without a system's
name (`inrkit_image.options`).
"""

from collections.abc import Mapping
from typing import Any

from inrkit import inrct_preset, paper_preset

_TRANSFORMER = {"width": 768, "depth": 8, "decoder_depth": 6, "heads": 12, "hidden": 3072}
_ANR = {"inr_width": 512, "inr_inner": 384, "inr_heads": 6, "inr_depth": 5}
NETWORK: Mapping[str, Any] = {"patch": 4, "token_patch": 4, **_TRANSFORMER, **_ANR, "jitter": "each"}
"""INRCT's network for images: 145.43 million weights at 64 x 64 pixels."""

_LITERAL = {"max_frequency": 1024.0, "threshold": 0.0015, "localized": False, "sigma_data": 0.5}
_SIGMA_MIN = {"sigma_data": 0.5, "offset": 0.002}
_LEVELS = {"sigma_min": 0.002, "sigma_max": 80.0, "rho": 7.0}
_CM = {**_LEVELS, "distance": "squared", "weight": "uniform"}
_SONG = {**_CM, "s0": 2, "s1": 150, "mu0": 0.9, "mu": "code"}
_LOG_NORMAL = {"p_mean": -1.1, "p_std": 2.0}
_ECT = {"distance": "l2", "weight": "1/(t-r)", **_LOG_NORMAL}
_ICT = {**_LEVELS, **_LOG_NORMAL, "distance": "pseudo-huber", "weight": "1/(t-r)", "s0": 10, "s1": 1280}
_CM_TRAINING = {"lr": 4e-4, "warmup": 10_000_000 // 512, "precision": "fp32", "readout_options": _SIGMA_MIN}

_PRETRAINING, _CT = 30 * 162_770 // 32, 800_000  # CM-Func: 30 epochs of CelebA, and then as long as CT
_DECODER = {"objective": "reconstruction", "trains": "decoder", "optimizer": "adamw", "lr": 1e-4}


def _unet(dropout: float, fourier: float = 0.0, **options: Any) -> Mapping[str, Any]:
    """The U-Net of the papers on CIFAR-10, whose params are an image."""
    parts = {"width": 128, "multipliers": [2, 2, 2], "blocks": 4, "attention": [16]}
    network = {"denoiser": "unet", "denoiser_options": {**parts, "dropout": dropout, "fourier": fourier}}
    return {"size": [32, 32], "sigma_data": 0.5, "function": "grid", **network, **options}


PAPERS: Mapping[str, Mapping[str, Any]] = {
    "inrct-cifar10": inrct_preset(
        48_828,
        625_000,
        readout_options={"sigma_data": 0.5},
        options={"size": [32, 32], **NETWORK, "token_patch": 2, **_LITERAL},
    ),
    "inrct-celeba-64": inrct_preset(
        26_367, 421_875, readout_options={"sigma_data": 0.5}, options={"size": [64, 64], **NETWORK, **_LITERAL}
    ),
    "cm-func-celeba-64": paper_preset(
        "cm-func",
        _PRETRAINING + _CT,
        32,
        _SONG,
        readout_options=_SIGMA_MIN,
        phases=[
            {**_DECODER, "share": _PRETRAINING / (_PRETRAINING + _CT), "options": {"distance": "squared"}},
            {"objective": "cm-func", "share": _CT / (_PRETRAINING + _CT)},
        ],
        options={
            "size": [64, 64],
            "sigma_data": 0.5,
            "patch": 4,
            **_TRANSFORMER,
            "depth": 6,
            "function": "mlp",
            "function_options": {"width": 256, "depth": 5, "frequencies": 64, "octaves": 11.65},
            "groups": 64,
            "jitter": "none",
        },
    ),
    "ct-cifar10": paper_preset("ct", 800_000, 512, _SONG, **_CM_TRAINING, options=_unet(0.0, fourier=16.0, flip=True)),
    "cd-cifar10": paper_preset(
        "cd",
        800_000,
        512,
        {**_CM, "n": 18, "solver": "heun", "mu": 0.0},
        **_CM_TRAINING,
        options=_unet(0.0, fourier=16.0, flip=True),
    ),
    "ict-cifar10": paper_preset(
        "ict",
        400_000,
        1024,
        _ICT,
        ema_decay=0.99993,
        precision="fp32",
        readout_options=_SIGMA_MIN,
        options=_unet(0.3, fourier=0.02, flip=True),
    ),
    "ect-cifar10": paper_preset(
        "ect",
        200_000,
        128,
        {**_ECT, "curriculum": {"q": 2.0, "k": 8.0, "b": 1.0, "stages": 8, "offset": 1}},
        precision="fp32",
        readout_options={"sigma_data": 0.5},
        options=_unet(0.2),
    ),
}
