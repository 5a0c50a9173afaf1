"""INRCT on SRN cars as a preset: every number is the paper's, or stands in docs/papers.md with why it is another."""

from collections.abc import Mapping
from typing import Any

from inrkit import inrct_preset

_RAYS = {"query_rays": 128, "samples": 64, "render_samples": 64, "near": 0.8, "far": 1.8, "patch": 8}
_TRANSFORMER = {"width": 768, "depth": 8, "decoder_depth": 6, "heads": 12, "hidden": 3072, "groups": 32}
_MLP = {"width": 256, "depth": 6, "frequencies": 20, "octaves": 8.0}
NETWORK: Mapping[str, Any] = {"size": [128, 128], **_RAYS, **_TRANSFORMER, "function_options": _MLP}

PAPERS: Mapping[str, Mapping[str, Any]] = {
    # The literal read-out cannot work here: it asks for twice the signal at t = 80, and colours are bounded.
    "inrct-cars": inrct_preset(
        19_203,
        96_016,
        readout="two-headed",
        readout_options={"sigma_data": 0.5},
        options={**NETWORK, "views": 1, "query_views": 1, "test_views": 250, "sigma_data": 0.5},
    )
}
