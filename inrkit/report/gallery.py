"""What a trained model can show, as parts of a report: samples, encodes, any resolution, the way from one to another.

Each function gives blocks; none where the modality cannot deliver.
"""

from collections.abc import Mapping, Sequence

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from inrkit.core.draws import Draws, seed_of
from inrkit.core.edit.between import noise_between
from inrkit.core.sample import sample
from inrkit.drawing.page import Beside, Block, Picture, Rows
from inrkit.drawing.sheet import CLEAR, sheet, to_image
from inrkit.inference.model import Model
from inrkit.inference.picture import enlarged, pictures_of, rendered, shown_of
from inrkit.inference.signalset import SignalSet
from inrkit.metrics.metric import psnr

FACTORS = (1, 2, 4, 8)
_LARGEST = 512
"""Longer side of the largest picture of a report."""


def samples(model: Model, n: int, times: Sequence[float]) -> list[Block]:
    """A sheet of ``n`` generated signals."""
    pictures = shown_of(model, model.sample(n, seed=0, times=times))
    return [Picture(sheet(pictures, columns=12, paper=CLEAR), wide=True)]


def encodes(signals: SignalSet) -> list[Block]:
    """Held-out signals, and below them what their INRs show."""
    encoded = signals.encode()
    truth, shown = pictures_of(signals.model, encoded.truth), pictures_of(signals.model, encoded.shown)
    captions = [f"{x:.1f} dB" for x in psnr(encoded.shown.clamp(-1, 1), encoded.truth, peak=2).tolist()]
    error = _row((4 * (shown - truth)).abs())
    return [Rows([("original", _row(truth)), ("reconstruction", _row(shown, captions)), ("error x 4", error)])]


def zoom(signal: SignalSet) -> list[Block]:
    """One INR rendered larger and larger, beside what enlarging its smallest render gives, and beside the truth."""
    model, prediction = signal.model, signal.encode().prediction
    base = rendered(model, prediction, {})
    if base is None:
        return []
    largest = max(base.shape[2:])
    found = enlarged(model, prediction, [f for f in FACTORS if f * largest <= max(_LARGEST, 2 * largest)])
    if not found:
        return []
    side = max(found) * largest
    row = [Picture(_fitted(render[0], side), f"INR at {_size(render)}") for render in found.values()]
    return [Beside(row), Beside(_comparison(signal, found))]


def params_between(signals: SignalSet, steps: int = 9) -> list[Block]:
    """From the params of one encode to those of another, along a straight line; for each pair of the signals."""
    rows = []
    for _, pair in signals.parts(2):
        encoded = pair.encode().prediction
        share = torch.linspace(0, 1, steps, device=encoded.t.device)
        mixed = {name: torch.stack([torch.lerp(p[0], p[1], s) for s in share]) for name, p in encoded.params.items()}
        with torch.no_grad():
            where = encoded.observation.rows(torch.zeros(steps, dtype=torch.int64, device=share.device)).where
            values = signals.model.pipeline.show(mixed, where, encoded.t[:1].expand(steps))
        rows.append(("encodings", _row(pictures_of(signals.model, values))))
    return [Rows(rows)]


@torch.no_grad()
def samples_between(model: Model, steps: int = 9) -> list[Block]:
    """From the noise of one sample to that of another, on the sphere that noise lies on."""
    device = model.device
    template = model.modality.template(steps).to(device)
    rows = []
    for row in range(2):
        draws = Draws(seed_of("between", row), 2, device=device)
        noise = noise_between(draws, steps, template.values)
        label = None if (one := model.labels(1, row)) is None else one.to(device).expand(steps)
        values = sample(model.pipeline, template, draws, label=label, noise=noise).signal
        rows.append(("samples", _row(pictures_of(model, values))))
    return [Rows(rows)]


def _comparison(signal: SignalSet, found: Mapping[int, Tensor]) -> list[Picture]:
    """Ways to the largest size of ``found``, and how far each is from the truth where that is known."""
    base, factor = found[1], max(found)
    size = (base.shape[2] * factor, base.shape[3] * factor)
    shown = {
        f"{_size(base)}, nearest": F.interpolate(base, size, mode="nearest"),
        f"{_size(base)}, bicubic": F.interpolate(base, size, mode="bicubic").clamp(0, 1),
        f"INR at {_size(found[factor])}": found[factor],
    }
    display = signal.model.modality.display
    truth = display.truth(signal.source, signal.numbers, display.places({"size": f"{size[1]}x{size[0]}"})[0])
    if truth is not None:
        known = pictures_of(signal.model, truth)
        shown = {f"{name}: {float(psnr(p, known, peak=1)):.1f} dB": p for name, p in shown.items()}
        shown[f"ground truth at {_size(known)}"] = known
    return [Picture(_fitted(picture[0], max(size)), name) for name, picture in shown.items()]


def _size(pictures: Tensor) -> str:
    return f"{pictures.shape[3]} x {pictures.shape[2]}"


def _fitted(picture: Tensor, side: int) -> Image.Image:
    return to_image(picture, max(1, max(side, 256) // max(picture.shape[1:])))


def _row(pictures: Tensor, captions: Sequence[str] | None = None) -> Image.Image:
    return sheet(pictures, columns=len(pictures), captions=captions, paper=CLEAR)
