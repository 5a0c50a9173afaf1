"""Pictures (B, 3, H, W) in [0, 1] of values on grids of one, two and three axes."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from inrkit.core.view import View
from inrkit.errors import UsageError

# From dark blue over white to dark red, for values from -1 to 1: zero is what stays white.
_STOPS = ((0.02, 0.15, 0.38), (0.26, 0.57, 0.78), (0.97, 0.97, 0.96), (0.84, 0.38, 0.30), (0.40, 0.0, 0.12))
# From black over violet and orange to pale yellow, for amounts from 0 to 1.
_HEAT = ((0.0, 0.0, 0.02), (0.32, 0.07, 0.48), (0.71, 0.21, 0.47), (0.98, 0.53, 0.38), (0.99, 0.99, 0.75))

# Of curves, channel by channel.
_INKS = (_STOPS[0], (0.84, 0.38, 0.0), (0.0, 0.50, 0.40), (0.60, 0.15, 0.55), (0.35, 0.70, 0.90), (0.45, 0.45, 0.45))


def pictures_of_grid(values: Tensor) -> Tensor:
    """Something to look at for values (B, C, *size) in [-1, 1]: curves, maps, or three slices through a volume."""
    axes = values.ndim - 2
    if axes == 1:
        return curves(values)
    if axes == 2:
        return maps(values)
    if axes == 3:
        # Slices through the middle of a volume, across each axis; filled up to equal squares.
        most = max(values.shape[2:])
        slices = [values.select(axis, values.shape[axis] // 2) for axis in (2, 3, 4)]
        squares = [F.pad(s, (0, most - s.shape[3], 0, most - s.shape[2]), value=-1.0) for s in slices]
        return torch.cat([maps(square) for square in squares], dim=3)
    raise UsageError(f"pictures are drawn of 1, 2 or 3 axes (got {axes})")


def curves(values: Tensor, height: int = 48, width: int = 128) -> Tensor:
    """Values (B, C, N) in [-1, 1] as a curve for each channel; each column from its lowest to its highest value."""
    rows = torch.linspace(1, -1, height, device=values.device)[None, :, None]
    axis = torch.where(rows.abs() <= 1.1 / height, 0.85, 1.0)[:, None]
    drawn = axis.expand(len(values), 3, height, width)
    for channel in reversed(range(values.shape[1])):  # the first one lies on top
        ink = torch.tensor(_INKS[channel % len(_INKS)], device=values.device)[:, None, None]
        drawn = torch.where(_inked(values[:, channel : channel + 1].float(), rows, width)[:, None], ink, drawn)
    return drawn


def _inked(values: Tensor, rows: Tensor, width: int) -> Tensor:
    """Where the curve of values (B, 1, N) runs, (B, height, width)."""
    x = values.nan_to_num().clamp(-1, 1)
    if x.shape[2] < width:
        x = F.interpolate(x, width, mode="linear", align_corners=False)
    top, bottom = F.adaptive_max_pool1d(x, width), -F.adaptive_max_pool1d(-x, width)
    # A column reaches halfway to its neighbours, so that a steep curve stays in one piece.
    ends = F.pad(torch.cat([top, bottom], 1), (1, 1), mode="replicate")
    before, after = (ends[..., :-2] + ends[..., 1:-1]) / 2, (ends[..., 1:-1] + ends[..., 2:]) / 2
    lows = torch.stack([bottom[:, 0], *before.unbind(1), *after.unbind(1)], 1)
    top, bottom = torch.maximum(top[:, 0], lows.amax(1)), torch.minimum(bottom[:, 0], lows.amin(1))
    half = 1.2 / rows.shape[1]
    return (rows <= top[:, None] + half) & (rows >= bottom[:, None] - half)


def spectrograms(values: Tensor, height: int = 64, width: int = 128, window: int = 256) -> Tensor:
    """Which tones the first channel of values (B, C, N) holds from left to right, the low ones below.

    From 70 dB below the loudest that there can be (black) up to that.
    """
    taper = torch.hann_window(max(2, min(window, values.shape[2] // 2)), device=values.device)
    spectrum = torch.stft(values[:, 0].float(), len(taper), max(1, len(taper) // 8), window=taper, return_complex=True)
    decibels = 20 * torch.log10(spectrum.abs() / taper.sum() * 2 + 1e-6)
    shown = F.interpolate((decibels / 70 + 1).flip(1)[:, None], (height, width), mode="bilinear", align_corners=False)
    return heat(shown[:, 0])


def maps(values: Tensor) -> Tensor:
    """Values (B, C, H, W) in [-1, 1]: three channels are colours; any other number lie beside each other, blue to red.

    Zero is white. Where there is nothing (NaN) the paper shows.
    """
    if values.shape[1] == 3:
        return ((values.float() + 1) / 2).clamp(0, 1).nan_to_num(1.0)
    wide = torch.cat(values.float().unbind(1), dim=2)
    shown = coloured((wide + 1) / 2, _STOPS)
    return torch.where(wide[:, None].isnan(), torch.ones_like(shown), shown)


def view_of_grid(size: tuple[int, ...], channels: int, rate: int | None) -> View:
    """How a page shows values on a grid: a curve, which is heard at a ``rate`` in Hz, a map, or slices of a volume."""
    shape: Literal["line", "plane"] = "line" if len(size) == 1 else "plane"
    return View(shape=shape, glsl=glsl_of_maps(channels), facts={"size": list(size), "rate": rate})


def glsl_of_maps(channels: int) -> str:
    """`maps` as a `View` has it, of the first channel where they are no colours."""
    if channels == 3:
        return "vec3 colour(vec4 y[OUTPUTS]) { return (y[0].rgb + 1.0) / 2.0; }"
    stops = ", ".join(f"vec3{stop}" for stop in _STOPS)
    return f"""vec3 colour(vec4 y[OUTPUTS]) {{
  const vec3 stops[{len(_STOPS)}] = vec3[]({stops});
  float at = clamp((y[0].x + 1.0) / 2.0, 0.0, 1.0) * {len(_STOPS) - 1}.0, low = min(floor(at), {len(_STOPS) - 2}.0);
  return mix(stops[int(low)], stops[int(low) + 1], at - low);
}}"""


def heat(amount: Tensor) -> Tensor:
    """Amounts (B, H, W) in [0, 1] as colours from black over violet to pale yellow."""
    return coloured(amount, _HEAT)


def coloured(amount: Tensor, stops: tuple[tuple[float, float, float], ...]) -> Tensor:
    """Amounts (B, H, W) in [0, 1] as colours (B, 3, H, W) between evenly spaced stops."""
    table = torch.tensor(stops, device=amount.device)
    place = amount.float().nan_to_num().clamp(0, 1) * (len(stops) - 1)
    low = place.floor().long().clamp_max(len(stops) - 2)
    return torch.lerp(table[low], table[low + 1], (place - low)[..., None]).movedim(-1, 1)
