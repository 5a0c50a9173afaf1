"""An `.inr` file in use: rendered, exported, without the run that made it and without its denoiser."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, final

import attrs
import torch
from torch import Tensor

from inrkit.config.resolve import Resolved
from inrkit.config.run import RunConfig
from inrkit.core.inr import INRFunction, Params
from inrkit.core.measure import Measure
from inrkit.core.modality import Modality
from inrkit.core.pipeline import Request
from inrkit.core.resolution import shown_size
from inrkit.core.transform import Rendered
from inrkit.drawing.sheet import png, scale_for, to_image
from inrkit.errors import DataError, UsageError
from inrkit.inference.given import places
from inrkit.machine.precision import choose_device
from inrkit.machine.randomness import preserve_random_state
from inrkit.nn.grid import Grid
from inrkit.plugins import load_plugins
from inrkit.progress import Progress, quiet
from inrkit.storage.inrfile import InrFile, load_inr

_ALTERED = "it was made by another version of the plugin, or altered"
_Seen = TypeVar("_Seen", Tensor, Rendered)


@final
@attrs.frozen(eq=False, repr=False)
class Opened:
    """An INR file, ready to be asked: its modality, what becomes of params, and the params (1, ...)."""

    modality: Modality
    measure: Measure
    params: Params
    file: InrFile

    def __repr__(self) -> str:
        return f"<Opened {self.file!r}>"

    def _repr_png_(self) -> bytes:
        """For notebooks: the signal as it was trained, or as its modality wants it looked at."""
        display = self.modality.display
        picture = display.pictures(self.render(display.preview)[0][None])[0]
        return png(to_image(picture, scale_for(*picture.shape[1:])))

    @torch.no_grad()
    def render(self, request: Request | None = None, *, progress: Progress = quiet) -> list[Tensor]:
        """The signal (C, ...) at each place of a request, such as "512x512" or {"orbit": 60}."""
        return [values[0].float().cpu() for values in self._measured(self.measure, request, progress)]

    @torch.no_grad()
    def render_with_depth(self, request: Request | None = None, *, progress: Progress = quiet) -> list[Rendered]:
        """What is seen of a solid at each place of a request: colour, opacity, depth and normal, (C, ...) each."""
        found = self._measured(self.measure.with_depth, request, progress)
        return [
            Rendered(*(values[0].float().cpu() for values in (seen.colour, seen.opacity, seen.depth, seen.normal)))
            for seen in found
        ]

    def _measured(
        self, measure: Callable[[Params, Any, Tensor], _Seen], request: Request | None, progress: Progress
    ) -> Iterator[_Seen]:
        t = next(iter(self.params.values())).new_full((1,), self.file.t)
        asked = places(self.modality, request, t.device)
        for done, where in enumerate(asked, 1):
            yield measure(self.params, where, t)
            progress(done, len(asked), "rendering")

    def stretched(self, size: str) -> str:
        """What is to be said of a size that has not the proportion of a signal on a grid; "" where it has."""
        own, asked = (places(self.modality, request, torch.device("cpu"))[0] for request in (None, size))
        if not isinstance(own, Grid) or not isinstance(asked, Grid):
            return ""
        ratios = [new / old for new, old in zip(asked.size, own.size, strict=True)]
        if max(ratios) * (min(asked.size) - 1) <= min(ratios) * min(asked.size):  # but for a cell
            return ""
        fitting = "x".join(str(max(1, round(n * min(ratios)))) for n in reversed(own.size))
        return f"{size} stretches the signal, which is {shown_size(own.size)}; --size {fitting} keeps its proportion"


def open_inr(
    inr: InrFile | Path | str,
    device: str = "cpu",
    *,
    row: int | None = None,
    modality: type[Modality] | None = None,
) -> Opened:
    """What an INR file holds, ready to be rendered or exported. Needs the modality's plugin, but no run.

    Args:
        row: Which signal of a file of several, from 0.
        modality: The class, for one that is not installed as a plugin.
    """
    origin = "the INR" if isinstance(inr, InrFile) else str(inr)
    inr = inr if isinstance(inr, InrFile) else load_inr(Path(inr), row)
    _check_installed(inr, origin, modality)
    place = choose_device(device)
    cls = load_plugins().modality(inr.modality) if modality is None else modality
    table = dict(inr.readout)
    name = str(table.pop("name", "direct"))
    config = RunConfig(modality=cls.name, options=dict(inr.modality_options), readout=name, readout_options=table)
    try:
        resolved = Resolved.of(config, cls)
        with preserve_random_state(place):
            # Without memory first, so that the shapes in the file decide; unless numbers decide what is built.
            with contextlib.suppress(RuntimeError, NotImplementedError), torch.device("meta"):
                _check_function(origin, resolved.modality.measure(resolved.readout).function, inr)
            measure = resolved.modality.measure(resolved.readout)
    except UsageError as error:  # not what the user wrote, but what the file holds
        raise DataError(f"{origin}: {str(error).rstrip('.')}; {_ALTERED}") from error
    function = measure.function
    _check_function(origin, function, inr)
    function.load_state_dict(dict(inr.function_state))
    function.to(place).eval().requires_grad_(False)
    return Opened(resolved.modality, measure, {name: value[None].to(place) for name, value in inr.params.items()}, inr)


def _check_installed(inr: InrFile, origin: str, modality: type[Modality] | None) -> None:
    """`DataError` where no installed package has what the file was made with."""
    needed = {"modality": inr.modality if modality is None else None, "function": inr.built_with.get("name")}
    for kind, name in needed.items():
        try:
            if name is not None:
                load_plugins().entry(kind, str(name))
        except UsageError as error:
            there = ", ".join(load_plugins().offers.get(kind, {})) or "none"
            raise DataError(
                f"{origin}: expected the {kind} '{name}', found none of that name among those that are installed "
                f"({there}); install the package that has it"
            ) from error


def _check_function(origin: str, function: INRFunction, inr: InrFile) -> None:
    """`DataError` unless this is the function that the file needs."""
    if (built := type(function).__name__) != inr.function:
        raise DataError(
            f"{origin}: expected the function '{inr.function}', found that '{inr.modality}' builds '{built}'; "
            + _ALTERED
        )
    _check(origin, "params", {name: tuple(shape) for name, shape in function.param_shapes.items()}, inr.params)
    weights = {name: tuple(value.shape) for name, value in function.state_dict().items()}
    _check(origin, "weights", weights, inr.function_state)


def _check(origin: str, what: str, expected: Mapping[str, tuple[int, ...]], found: Mapping[str, Tensor]) -> None:
    shapes = {name: tuple(value.shape) for name, value in found.items()}
    for name in sorted(expected.keys() | shapes.keys()):
        if expected.get(name) != shapes.get(name):
            raise DataError(
                f"{origin}: its {what} do not fit its modality's options: expected '{name}' of shape "
                f"{expected.get(name, 'none')}, found {shapes.get(name, 'none')}"
            )


def render(
    inr: InrFile | Path | str,
    request: Request | None = None,
    *,
    device: str = "cpu",
    row: int | None = None,
    modality: type[Modality] | None = None,
    progress: Progress = quiet,
) -> list[Tensor]:
    """An INR file measured at each place of a request, such as "512x512" or {"orbit": 60}: tensors (C, ...)."""
    return open_inr(inr, device, row=row, modality=modality).render(request, progress=progress)


def render_with_depth(
    inr: InrFile | Path | str,
    request: Request | None = None,
    *,
    device: str = "cpu",
    row: int | None = None,
    modality: type[Modality] | None = None,
    progress: Progress = quiet,
) -> list[Rendered]:
    """An INR file of a solid seen from outside: `Rendered`, with colour, opacity, depth and normal, for each place."""
    return open_inr(inr, device, row=row, modality=modality).render_with_depth(request, progress=progress)
