"""Pictures as files, written after rendering."""

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from inrkit import UsageError

_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".bmp": "BMP", ".gif": "GIF"}


def write_image(values: Tensor, path: Path) -> Path:
    """Values (C, H, W) in [-1, 1] as a file of the kind that its name says; PNG where it says nothing."""
    if Path(path).is_dir():
        raise UsageError(f"{path}: expected the name of a file, found one that is a directory")
    path = Path(path) if Path(path).suffix else Path(path).with_suffix(".png")
    if path.suffix.lower() not in _FORMATS:
        known = ", ".join(_FORMATS)
        raise UsageError(f"{path}: expected a name ending in {known}, found '{path.suffix}'; choose one of them")
    if values.ndim != 3 or values.shape[0] not in _MODES:
        raise UsageError(f"an image file holds 1 to 4 channels (C, H, W), got {tuple(values.shape)}")
    array = _levels(values)
    image = Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array)
    if path.suffix.lower() in (".jpg", ".jpeg", ".bmp") and image.mode in ("LA", "RGBA"):
        image = image.convert("L" if image.mode == "LA" else "RGB")
    buffer = io.BytesIO()
    image.save(buffer, format=_FORMATS[path.suffix.lower()])
    _write(path, buffer.getvalue())
    return path


def _levels(values: Tensor) -> np.ndarray:
    """Values (C, H, W) as (H, W, C) uint8, some rows at a time: an image may be a good part of the memory."""
    channels, height, width = values.shape
    array = np.empty((height, width, channels), np.uint8)
    band = max(1, (1 << 20) // width)
    for top in range(0, height, band):
        part = torch.nan_to_num(values[:, top : top + band].detach().float().cpu())
        levels = part.add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
        array[top : top + band] = levels.movedim(0, -1).numpy()
    return array


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        unfinished.write_bytes(data)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
