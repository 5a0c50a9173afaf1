"""Posed pictures as importers and commands find them in folders and archives, made one kind of thing."""

import io
import warnings
from collections.abc import Mapping
from typing import Any, final

import attrs
import numpy as np
import torch
from PIL import Image

from inrkit import DataError, Progress, quiet
from inrkit_nerf.cameras import check_intrinsics, check_rigid, scale_intrinsics


@final
@attrs.frozen(eq=False)
class View:
    """One picture: which object it shows, its file, its pose (4, 4) and its intrinsics (4,), both OpenCV's."""

    thing: str
    file: str
    pose: np.ndarray
    intrinsics: np.ndarray
    test: bool = False


def checked(view: View) -> View:
    """The view, or an error that names object and file."""
    what = f"{view.thing}: {view.file}"
    check_rigid(view.pose, what)
    check_intrinsics(view.intrinsics, what)
    return view


def decode(data: bytes, what: str, size: tuple[int, int] | None) -> np.ndarray:
    """Pixels (H, W, 3 or 4) uint8; resized as a whole where ``size`` is given. Full opacity counts as none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image: Image.Image = Image.open(io.BytesIO(data))
            image = image.convert("RGBA" if "A" in image.getbands() or "transparency" in image.info else "RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise DataError(f"{what}: expected a picture, found: {error}") from error
    if size is not None and image.size != (size[1], size[0]):
        # colours are weighed with opacity, lest those of invisible pixels bleed in
        image = image.convert("RGBa") if image.mode == "RGBA" else image
        image = image.resize((size[1], size[0]), Image.Resampling.BOX)
        image = image.convert("RGBA") if image.mode == "RGBa" else image
    pixels = np.asarray(image)
    return pixels[..., :3] if pixels.shape[-1] == 4 and (pixels[..., 3] == 255).all() else pixels


def stacked(
    views: list[View], read: Mapping[str, bytes], size: tuple[int, int] | None, progress: Progress = quiet
) -> dict[str, np.ndarray]:
    """The arrays of a store; an error names the object and the file where pictures differ in size."""
    images: list[np.ndarray] = []
    intrinsics = []
    for view in views:
        what = f"{view.thing}: {view.file}"
        pixels, old = decode(read[view.file], what, size), dimensions(read[view.file], what)
        if images and pixels.shape[:2] != images[0].shape[:2]:
            a, b = (f"{x.shape[1]} x {x.shape[0]}" for x in (images[0], pixels))
            raise DataError(f"{what}: expected pictures of {a} like the first, found {b}; give a 'size' for all")
        images.append(pixels)
        progress(len(images), len(views), "decoding pictures")
        k = torch.from_numpy(view.intrinsics.astype(np.float64))
        intrinsics.append(scale_intrinsics(k, old, (pixels.shape[0], pixels.shape[1])).numpy())
    if len({image.shape[-1] for image in images}) > 1:  # beside pictures with opacity those without become opaque
        images = [np.pad(x, ((0, 0), (0, 0), (0, 4 - x.shape[-1])), constant_values=255) for x in images]
    things = list(dict.fromkeys(view.thing for view in views))
    arrays = {
        "images": np.stack(images),
        "pose": np.stack([view.pose for view in views]).astype(np.float32),
        "intrinsics": np.stack(intrinsics).astype(np.float32),
        "object": np.array([things.index(view.thing) for view in views], np.int32),
        "split": np.array([view.test for view in views], np.uint8),
    }
    if not arrays["split"].any():
        del arrays["split"]
    return arrays


def dimensions(data: bytes, what: str) -> tuple[int, int]:
    """Height and width, from the header of a picture alone."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.height, image.width
    except (OSError, ValueError) as error:
        raise DataError(f"{what}: expected a picture, found: {error}") from error


def spread(items: list[Any], most: int | None) -> list[Any]:
    """At most so many of them, evenly."""
    if most is None or most >= len(items):
        return items
    return [items[i * len(items) // most] for i in range(most)]
