"""What a model can be given to work on, and how it becomes an observation: the one way in which clean signals enter.

files, pictures ──Modality.read──▶ signals ──Modality.observe──▶ batch
values          ──at the place of the template─────────────────▶ batch
"""

import math
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from inrkit.core.draws import Draws, seed_of
from inrkit.core.modality import Modality, Signals
from inrkit.core.observation import Batch, Observation
from inrkit.core.pipeline import Pipeline, Request
from inrkit.errors import UsageError
from inrkit.machine.memory import require_memory

File = Path | str | Image.Image
Given = Batch | Observation | Signals | Tensor | np.ndarray | File | Sequence[File]
"""Files of the user, pictures of PIL or arrays of bytes (H, W, C) like them; values (B, C, ...) or (C, ...) on [-1, 1],
as tensors or arrays; raw signals as a source reads them; or what was observed."""

_FAR = 20.0  # times the standard deviation of the data: 0 to 255 is farther off
_SIZES = 4  # of files, each of which is told
_COPIES = 2  # of what is rendered, that there are at once: in parts and joined, or as values and as a picture


def observe(modality: Modality, pipeline: Pipeline, given: Given, numbers: Sequence[int] | None = None) -> Batch:
    """Clean signals as the denoiser sees them.

    Law: depends on what is given and, for what a source reads, on the numbers of the signals.
    """
    device = next(pipeline.parameters()).device
    if isinstance(given, Batch):
        return given.to(device)
    if isinstance(given, Tensor) or (isinstance(given, np.ndarray) and given.dtype != np.uint8):
        given = _measured(modality, pipeline, torch.as_tensor(given))
    if isinstance(given, Observation):
        return Batch(given.to(device), given.to(device))
    signals = given if isinstance(given, Mapping) else _read(modality, given)
    try:
        count = len(next(iter(signals.values())))
        chosen = range(count) if numbers is None else numbers
        draws = Draws(seed_of("held out", *chosen), count, device=device)
        return modality.observe(signals, draws, training=False)
    except (KeyError, StopIteration, AttributeError, TypeError) as error:
        found = ", ".join(map(str, signals)) or "nothing"
        raise UsageError(
            f"expected signals as a source of the modality '{modality.name}' reads them, found {found} ({error!r}); "
            "give values (B, C, ...) or paths instead"
        ) from error


def _measured(modality: Modality, pipeline: Pipeline, values: Tensor) -> Observation:
    """Values of the shape of the template, measured there."""
    template = modality.template(1)
    shape = tuple(template.values.shape[1:])
    values = values[None] if tuple(values.shape) == shape else values
    if tuple(values.shape[1:]) != shape or not len(values):
        raise UsageError(
            f"expected values {shape} or (B, {str(shape)[1:-1]}) of the modality '{modality.name}', found "
            f"{tuple(values.shape)}; files of any size can be given by their paths"
        )
    if not values.is_floating_point():
        raise UsageError(f"expected values as floats on about [-1, 1], found {values.dtype}")
    most = float(values.abs().max())
    limit = _FAR * pipeline.preconditioning.sigma_data
    if not most <= limit:
        raise UsageError(f"expected finite values on about [-1, 1], found {most:g}; scale them as in training")
    return modality.template(len(values)).with_values(values.float())


def _read(modality: Modality, given: Any) -> Signals:
    """Files and pictures, as the modality reads them."""
    several = list(given) if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    with tempfile.TemporaryDirectory() as folder:
        paths = [_path(one, Path(folder) / f"{i}.png") for i, one in enumerate(several)]
        if not paths:
            raise UsageError("expected at least one signal, found none")
        return modality.display.read(paths)[0]


def _path(one: Any, spare: Path) -> Path:
    """Where a file lies; a picture is written to a spare one."""
    if isinstance(one, str | Path):
        return Path(one)
    if isinstance(one, np.ndarray) and one.dtype == np.uint8 and (one.ndim == 2 or one.shape[-1:] in ((3,), (4,))):
        one = Image.fromarray(one)
    if not isinstance(one, Image.Image):
        raise UsageError(
            f"expected a path, a picture, values as a tensor or an array, or an observation, found a {_what(one)}"
        )
    one.save(spare)
    return spare


def _what(one: Any) -> str:
    shape = f" {tuple(one.shape)} of {one.dtype}" if isinstance(one, np.ndarray | Tensor) else ""
    return f"{type(one).__name__}{shape}"


def fittings(modality: Modality, signals: Signals, names: Sequence[str]) -> list[str]:
    """What was done to the signals of files to fit the model: a line for each kind of change, one for many sizes."""
    sizes: dict[str, list[str]] = {}
    lines: list[str] = []
    for name, size in zip(names, signals["size"].tolist() if "size" in signals else (), strict=False):
        if change := modality.display.fitting(tuple(size)):
            sizes.setdefault(f"the model sees {change}", []).append(name)
    if len(sizes) > _SIZES:
        change, (first, *_) = next(iter(sizes.items()))
        lines = [f"{sum(map(len, sizes.values()))} files of {len(sizes)} sizes, such as {first}: {change}"]
        sizes = {}
    remarks: dict[str, list[str]] = {}
    for name, remark in zip(names, modality.display.remarks(signals), strict=True):
        if remark:
            remarks.setdefault(remark, []).append(name)
    return lines + [
        f"{found[0] if len(found) == 1 else f'{len(found)} files such as {found[0]}'}: {change}"
        for changes in (sizes, remarks)
        for change, found in changes.items()
    ]


def places(modality: Modality, asked: Request | None, device: torch.device, signals: int = 1) -> Sequence[Any]:
    """The places that a request means, on a device; refused where so many signals do not fit into memory there."""
    table = {} if asked is None else asked if isinstance(asked, Mapping) else {"size": asked}
    found = modality.display.places({str(key): _text(value) for key, value in table.items()})
    cells = sum(getattr(place, "count", 0) for place in found)
    needed = _COPIES * 4 * signals * modality.template(1).values.shape[1] * cells
    require_memory(needed, device, "a render", "ask for a smaller size, or a part at a time")
    return [place.to(device) if hasattr(place, "to") else place for place in found]


def require_set(modality: Modality, pipeline: Pipeline, n: int, device: torch.device) -> None:
    """Refuses samples whose params and values cannot all be held at once."""
    numbers = sum(map(math.prod, pipeline.function.param_shapes.values())) + 2 * modality.template(1).values.numel()
    require_memory(4 * n * numbers, device, "a set of samples", "make fewer, or a part at a time, as '--npz' does")


def _text(value: Any) -> str:
    """ "64x48" of a shape (48, 64): people name the width first."""
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, Sequence) and value and all(isinstance(n, int) for n in value):
        return "x".join(map(str, reversed(value)))
    raise UsageError(
        f"expected a request such as '64x48', (48, 64) or {{'size': '64x48'}}, found a {_what(value)}; coordinates are "
        "for the 'field' of a prediction"
    )
