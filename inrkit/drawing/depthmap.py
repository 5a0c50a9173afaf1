"""Depth maps as other programs read them: grey PNG pictures of 16 bits, in which 0 means that nothing was met."""

import io
import math
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin
from torch import Tensor

from inrkit.storage.atomic import write_bytes
from inrkit.storage.fileerror import disk_errors

_LEVELS = 65535


def save_depth_map(depth: Tensor, path: Path) -> Path:
    """Distances (V, H, W), infinite where there is nothing, as one picture; of several views a folder of them.

    A level of grey is the same power of ten in all of them, and each says it: "scale", a text of the PNG file.
    """
    met = depth[depth.isfinite()]
    scale = 10.0 ** math.ceil(math.log10(max(float(met.max()), 1e-9) / _LEVELS)) if len(met) else 1e-4
    levels = (depth / scale).round().clamp(1, _LEVELS).where(depth.isfinite(), 0).cpu().numpy().astype(np.uint16)
    if len(levels) == 1:
        write_bytes(path, _png(levels[0], scale))
        return path
    folder = path.with_suffix("")
    with disk_errors(folder):
        folder.mkdir(exist_ok=True)
    for number, view in enumerate(levels):
        write_bytes(folder / f"{number:04d}.png", _png(view, scale))
    return folder


def _png(levels: np.ndarray, scale: float) -> bytes:
    file, about = io.BytesIO(), PngImagePlugin.PngInfo()
    about.add_text("scale", f"{scale:g}")
    about.add_text("Description", f"distance from the camera along each ray, {scale:g} a level; 0: nothing is met")
    Image.fromarray(levels).save(file, "PNG", pnginfo=about)
    return file.getvalue()
