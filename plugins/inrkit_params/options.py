"""What can be set for params as signals."""

from collections.abc import Mapping
from typing import Any

import attrs

from inrkit import option


@attrs.frozen
class ParamsOptions:
    """Options of the params modality; every field is a config key under ``options``."""

    file: str | None = option(None, "data set of params, from `inrkit encode RUN --data ...`; it also decodes samples")
    length: int | None = option(None, "number of params of one signal; none: as in the data")
    classes: int | None = option(0, "classes that the network is conditioned on; 0: unconditional")
    sigma_data: float = option(0.5, "standard deviation of the normalised params (EDM's sigma_data)")
    multiple: int = option(64, "the vector of params is padded with zeros to a multiple of this, so that patches fit")
    denoiser: str = option("dit", "denoising network, by its registered name: dit, uvit, unet")
    denoiser_options: dict[str, Any] = attrs.field(
        factory=lambda: {"patch": 64, "width": 256, "depth": 6, "hidden": 768},
        metadata={"help": "options of the network"},
    )


PRESETS: Mapping[str, Mapping[str, Any]] = {
    "tiny": {
        "summary": "a second stage on the INR params of a run",
        "steps": 1000,
        "batch_size": 64,
        "optimizer": "muon",
        "lr": 2e-3,
        "warmup_share": 0.0,
        "sample_every": 250,
        "save_every": 250,
    },
}
