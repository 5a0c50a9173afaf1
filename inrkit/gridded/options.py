"""What can be set for signals on a grid."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar

import attrs

from inrkit.core.option import SHARE, at_least, between, option
from inrkit.errors import UsageError

_HYPER = ("denoiser", "hyper")
_ANR = ("function", "anr")


def _size(instance: Any, attribute: Any, value: tuple[int, ...] | None) -> None:
    if value is not None and (not value or min(value) < 1):
        raise UsageError(f"'{attribute.name}' must be one positive number for each axis (got {value})")


@attrs.frozen
class GridOptions:
    """Options of a modality on a grid, config keys under ``options``; None is taken from the data or the grid."""

    size: tuple[int, ...] | None = option(None, "input size, in grid cells along each axis; none: from the data", _size)
    largest: int | None = option(
        None, "where 'size' is taken from the data: at most so many cells along an axis; none: any number", at_least(1)
    )
    query_size: tuple[int, ...] | None = option(None, "resolution of the training target; none: as 'size'", _size)
    channels: int | None = option(None, "number of channels; none: as in the data", at_least(1))
    classes: int | None = option(0, "classes that the network is conditioned on; 0: unconditional", at_least(0))
    count: int = option(2000, "number of synthetic training signals, where no data set is given", at_least(1))
    sigma_data: float | None = option(None, "standard deviation of the clean values; none: measured", at_least(0.001))
    span: float | None = option(
        None,
        "floats of the data are divided by this, so that values lie in [-1, 1]; none: measured where 'sigma_data' is",
        at_least(0.001),
    )
    shift: float = option(0.0, "data augmentation: random shifts by up to this fraction of each axis", at_least(0))
    flip: bool = option(False, "data augmentation: random flips of the last axis")
    gain: float = option(0.0, "data augmentation: random gains of up to so many decibels, within [-1, 1]", at_least(0))
    augment_share: float = option(
        1.0, "probability of each augmentation, for each signal (EDM: .12); what a flip is then half as likely", SHARE
    )
    augment_labels: bool = option(
        False,
        "non-leaky augmentation (EDM): the network is told what was done to each signal, and when it samples or "
        "encodes that nothing was; needs 'augment_share' below 1 to know such signals",
    )

    patch: int | None = option(None, "patch size of the transformer's input; none: for 16 or more patches", at_least(1))
    width: int = option(128, "embedding dimension of the transformer", at_least(4), of=_HYPER)
    depth: int = option(2, "transformer encoder blocks", at_least(1), of=_HYPER)
    decoder_depth: int = option(1, "transformer decoder blocks; 0: patches become INR tokens", at_least(0), of=_HYPER)
    heads: int = option(4, "attention heads of the transformer", at_least(1), of=_HYPER)
    hidden: int = option(256, "hidden dimension of the feed-forward layers", at_least(1), of=_HYPER)
    dropout: float = option(0.0, "dropout probability in the feed-forward layers", at_least(0), of=_HYPER)

    token_patch: int | None = option(
        None, "side of the grid patch that each INR token stands for; none: gives 64 tokens or more", at_least(1)
    )
    inr_width: int = option(96, "dimension of the INR's tokens and of its hidden layers", at_least(4))
    inr_inner: int = option(64, "dimension of anr's attention (all heads together)", at_least(1), of=_ANR)
    inr_heads: int = option(2, "attention heads of anr's localized attention layer", at_least(1), of=_ANR)
    inr_depth: int = option(3, "layers of anr's MLP, which follows the attention", between(1, 1000), of=_ANR)
    max_frequency: float | None = option(
        None, "highest frequency of anr's features; none: Nyquist of the target", of=_ANR
    )
    threshold: float = option(
        0.0, "attention weights of anr below this are zero (ANR: 0.0015); 0 is faster", at_least(0), of=_ANR
    )
    localized: bool = option(True, "initialise so that each INR token attends to its own place on the grid")
    function: str = option("anr", "implicit function (INR architecture), by its registered name")
    function_options: dict[str, Any] = attrs.field(
        factory=dict,
        metadata={"help": "options of the implicit function, beside those that the keys above set"},
    )
    denoiser: str = option("hyper", "network that predicts the INR's params, by its registered name")
    denoiser_options: dict[str, Any] = attrs.field(
        factory=dict, metadata={"help": "options of that network; those of hyper are the keys above"}
    )
    groups: int = option(16, "weight tokens per layer of a function such as mlp (as in TransINR)", at_least(1))
    jitter: Literal["none", "shared", "each"] = option(
        "shared", "variational coordinates (ANR): random shifts, one per batch or one per signal"
    )
    interpolate: bool = option(
        False,
        "variational coordinates: learn values interpolated there, for 'windows'; false: those of the grid, as ANR",
    )
    query_points: int = option(0, "number of query points sampled for the loss of a training step; 0: all", at_least(0))


Options = TypeVar("Options", bound=GridOptions)


def sized(options: Options, found: Sequence[int]) -> Options:
    """The options with a size and with sides of patches.

    Where they say none, the size is that of the data, in proportion no larger than ``largest``, in whole patches.
    """
    whole = math.lcm(options.patch or 1, options.token_patch or 1)
    scale = 1.0 if options.largest is None else min(1.0, options.largest / max(found))
    size = options.size or tuple(max(whole, round(n * scale) // whole * whole) for n in found)
    return attrs.evolve(
        options,
        size=size,
        patch=options.patch or side_for(size, 16),
        token_patch=options.token_patch or side_for(options.query_size or size, 64),
    )


def side_for(size: tuple[int, ...], least: int) -> int:
    """The largest side of cubes that divide a grid into ``least`` or more of them; 1 where there is none."""
    sides = [side for side in range(1, min(size) + 1) if not any(n % side for n in size)]
    return max((side for side in sides if math.prod(size) >= least * side ** len(size)), default=1)


def tiny_preset(steps: int = 500, batch_size: int = 64, **options: Any) -> Mapping[str, Any]:
    """A preset for small signals on a laptop's processor: how long to train, and these options of the network."""
    often = max(1, steps // 5)
    return {
        "summary": "small: minutes on a processor",
        "steps": steps,
        "batch_size": batch_size,
        "optimizer": "muon",
        "lr": 2e-3,
        "save_every": often,
        "sample_every": often,
        "options": options,
    }
