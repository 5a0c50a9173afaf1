"""The hyper-network and the function of signals on a grid, as their options say."""

from collections.abc import Mapping
from typing import Any

import attrs

from inrkit.config.parts import make_denoiser
from inrkit.core.denoiser import Denoiser
from inrkit.core.measure import Measure
from inrkit.gridded.options import GridOptions, side_for
from inrkit.nn.grid import GridObservation
from inrkit.nn.head import make_heads
from inrkit.nn.hyper import HyperTransformer
from inrkit.nn.tokenizer import PatchTokenizer
from inrkit.plugins.loading import load_plugins

OWN = "hyper"
"""The denoiser whose options are the modality's own."""


def denoiser(options: GridOptions, measure: Measure, template: GridObservation, channels: int, space: str) -> Denoiser:
    """The denoiser that the options name: the modality's own, reading patches of the support, or a registered one."""
    function, classes, size = measure.function, options.classes or 0, template.where.size
    if options.denoiser != OWN:
        return make_denoiser(
            options.denoiser,
            options.denoiser_options,
            template=template,
            shapes=function.param_shapes,
            classes=classes,
            measure=measure,
        )
    start = function.token_positions() if function.token_grid is not None else None
    patch = options.patch or side_for(size, 16)
    return HyperTransformer(
        PatchTokenizer(size, channels, patch, options.width, localized=options.localized, space=space),
        make_heads(function.param_shapes, function.head, options.width, groups=options.groups, start=start),
        dim=options.width,
        depth=options.depth,
        decoder_depth=options.decoder_depth,
        attention_heads=options.heads,
        hidden=options.hidden,
        dropout=options.dropout,
        classes=classes,
        token_grid=function.token_grid,
        space=space,
    )


def function_options(options: GridOptions, query_size: tuple[int, ...], space: str | None) -> Mapping[str, Any]:
    """The function's options: those that stand among the modality's, of any function whose params are tokens or of
    `anr` alone, and whatever is given for it."""
    function = load_plugins().function(options.function)
    own: dict[str, Any] = {} if space is None else {"space": space}
    if function.head == "tokens":
        tokens = {"patch": options.token_patch or side_for(query_size, 64), "width": options.inr_width}
        own |= {name: value for name, value in tokens.items() if name in attrs.fields_dict(function.Options)}
    if options.function == "anr":
        own |= {
            "inner": options.inr_inner,
            "heads": options.inr_heads,
            "depth": options.inr_depth,
            "max_frequency": options.max_frequency,
            "threshold": options.threshold,
            "localized": options.localized,
        }
    return {**own, **options.function_options}
