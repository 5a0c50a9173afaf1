"""An `.inr` file in use: rendered, exported, without the run that made it and without its denoiser."""

from pathlib import Path
from typing import final

import attrs
import torch
from torch import Tensor

from inrkit.config.resolve import Resolved
from inrkit.config.run import RunConfig
from inrkit.core.inr import Params
from inrkit.core.modality import Modality
from inrkit.core.pipeline import Pipeline, Request
from inrkit.errors import DataError, UsageError
from inrkit.inference.given import places
from inrkit.inference.model import build_model
from inrkit.machine.precision import choose_device
from inrkit.plugins import load_plugins
from inrkit.progress import Progress, quiet
from inrkit.storage.inrfile import InrFile, load_inr


@final
@attrs.frozen(eq=False, repr=False)
class Opened:
    """An INR file, ready to be asked: modality, a pipeline whose denoiser is not to be used, params (1, ...)."""

    modality: Modality
    pipeline: Pipeline
    params: Params
    file: InrFile

    def __repr__(self) -> str:
        return f"<Opened {self.file!r}>"

    @torch.no_grad()
    def render(self, request: Request | None = None, *, progress: Progress = quiet) -> list[Tensor]:
        """The signal (C, ...) at each place of a request, such as "512x512" or {"orbit": 60}."""
        t = next(iter(self.params.values())).new_full((1,), self.file.t)
        asked, values = places(self.modality, request, t.device), []
        for done, where in enumerate(asked, 1):
            values.append(self.pipeline.show(self.params, where, t)[0].float().cpu())
            progress(done, len(asked), "rendering")
        return values


def open_inr(inr: InrFile | Path | str, device: str = "cpu", *, modality: type[Modality] | None = None) -> Opened:
    """What an INR file holds, ready to be rendered or exported. Needs the modality's plugin, but no run.

    Args:
        modality: The class, for one that is not installed as a plugin.
    """
    inr = inr if isinstance(inr, InrFile) else load_inr(Path(inr))
    cls = load_plugins().modality(inr.modality) if modality is None else modality
    table = dict(inr.readout)
    name = str(table.pop("name", "direct"))
    config = RunConfig(modality=cls.name, options=dict(inr.modality_options), readout=name, readout_options=table)
    try:
        resolved = Resolved.of(config, cls)
    except UsageError as error:  # not what the user wrote, but what the file holds
        raise DataError(f"the INR file: {error}; it was made by another version of the plugin, or altered") from error
    place = choose_device(device)
    pipeline = build_model(resolved, Path(), 0, place).pipeline
    found = type(pipeline.function).__name__
    if found != inr.function:
        raise DataError(f"the INR file needs the function '{inr.function}', '{cls.name}' builds '{found}'")
    try:
        pipeline.function.load_state_dict(dict(inr.function_state))
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise DataError(f"the INR file's function does not fit its modality's options: {reason}") from error
    return Opened(resolved.modality, pipeline, {name: value[None].to(place) for name, value in inr.params.items()}, inr)


def render(
    inr: InrFile | Path | str,
    request: Request | None = None,
    *,
    device: str = "cpu",
    modality: type[Modality] | None = None,
    progress: Progress = quiet,
) -> list[Tensor]:
    """An INR file measured at each place of a request, such as "512x512" or {"orbit": 60}: tensors (C, ...)."""
    return open_inr(inr, device, modality=modality).render(request, progress=progress)
