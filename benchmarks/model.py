"""The image model that the benchmarks measure, in any width, and its plain counterpart with the same weights."""

from typing import Any

import torch
from reference import Reference

import inrkit
from inrkit.core.pipeline import Pipeline


def configured(width: int, *, size: int = 32, **values: Any) -> inrkit.Resolved:
    """The preset for the embedded faces, ``width`` wide with heads of 64, at ``size`` x ``size``; and other keys.

    A width of 0 is the preset's own, with its heads and hidden layers.
    """
    wide = {"width": width, "heads": max(1, width // 64), "hidden": 4 * width} if width else {}
    options = {**wide, "size": [size, size], "count": 512, **values.pop("options", {})}
    return inrkit.resolve("image", "tiny", flags={**values, "options": options, "readout": "direct"})


def reference_of(resolved: inrkit.Resolved, pipeline: Pipeline) -> Reference:
    """The plain implementation with the weights of a pipeline."""
    reference = Reference(resolved.modality.options, resolved.config.readout_options["width"])
    reference.load_state_dict(pipeline.state_dict())
    return reference


@torch.no_grad()
def loosened(pipeline: Pipeline) -> Pipeline:
    """The pipeline with every weight moved a little: untrained gates are zero and would hide a difference."""
    generator = torch.Generator().manual_seed(0)
    for parameter in pipeline.parameters():
        parameter.add_(0.02 * torch.randn(parameter.shape, generator=generator))
    return pipeline
