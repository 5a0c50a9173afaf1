"""Functions, denoisers and read-outs by name: what a config says, built by whichever plugin offers it."""

from collections.abc import Mapping, Sequence
from typing import Any

from inrkit.config.toml import parse_options, structure, unstructure
from inrkit.core.denoiser import Denoiser
from inrkit.core.inr import INRFunction
from inrkit.core.measure import Measure
from inrkit.core.observation import Observation
from inrkit.errors import UsageError
from inrkit.metrics.feature import FeatureNetwork
from inrkit.metrics.perceptual import has_stages
from inrkit.plugins import load_plugins

_FUNCTION = "options.function_options"
_DENOISER = "options.denoiser_options"


def make_function(
    name: str, options: Mapping[str, Any], *, axes: int, channels: int, size: tuple[int, ...] = ()
) -> INRFunction:
    """The implicit function of this name, with these options.

    Args:
        axes, channels: Of its coordinates and outputs.
        size: Of the grid that it is held to in training, where there is one.
    """
    cls = load_plugins().function(name)
    settings: Any = structure(cls.Options, options, table=_FUNCTION)
    function = cls.build(settings, axes=axes, channels=channels, size=size)
    table = unstructure(settings)
    function.built_with = {"name": name, "options": table, "axes": axes, "channels": channels, "size": list(size)}
    return function


def make_denoiser(
    name: str,
    options: Mapping[str, Any],
    *,
    template: Observation,
    shapes: Mapping[str, tuple[int, ...]],
    classes: int = 0,
    measure: Measure | None = None,
) -> Denoiser:
    """The denoiser of this name, with these options.

    Args:
        template: One row as it will be observed.
        shapes: Of the function's params.
        classes: Number of class labels; 0 for none.
        measure: What becomes of the params, which a denoiser that fits them to the signal must know.
    """
    cls = load_plugins().denoiser(name)
    settings: Any = structure(cls.Options, options, table=_DENOISER)
    return cls.build(settings, template=template, shapes=shapes, classes=classes, measure=measure)


def make_features(name: str, texts: Sequence[str] = ()) -> FeatureNetwork:
    """The feature network of this name, with options as "key=value" texts."""
    cls = load_plugins().feature(name)
    return cls.build(parse_options(cls.Options, texts, origin="--set"))


def training_features(name: str | None, options: Mapping[str, Any]) -> FeatureNetwork | None:
    """The network that a run compares pictures by, fixed, its weights in place; None without a name."""
    if name is None:
        return None
    cls = load_plugins().feature(name)
    network = cls.build(structure(cls.Options, options, table="features_options"))
    if not has_stages(network):
        raise UsageError(
            f"'features': '{name}' has no stages that pictures could be compared by; take alexnet or vgg16"
        )
    return network.eval().requires_grad_(False)


def check_parts(
    function: str, function_options: Mapping[str, Any], denoiser: str | None, denoiser_options: Mapping[str, Any]
) -> None:
    """An error where a name or an option of these parts is wrong, before anything is built.

    ``denoiser`` is None for a modality's own.
    """
    registry = load_plugins()
    structure(registry.function(function).Options, function_options, table=_FUNCTION)
    if denoiser is not None:
        structure(registry.denoiser(denoiser).Options, denoiser_options, table=_DENOISER)
