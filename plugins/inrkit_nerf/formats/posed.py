"""Posed pictures as importers and commands find them in folders and archives, made one kind of thing."""

import io
import warnings
from collections.abc import Mapping
from typing import Any, final

import attrs
import numpy as np
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
    intrinsics: list[np.ndarray] = []
    for view in views:
        what = f"{view.thing}: {view.file}"
        pixels, old = decode(read[view.file], what, size), _size_of(read[view.file], what)
        if images and pixels.shape[:2] != images[0].shape[:2]:
            a, b = (f"{x.shape[1]} x {x.shape[0]}" for x in (images[0], pixels))
            raise DataError(f"{what}: expected pictures of {a} like the first, found {b}; give a 'size' for all")
        images.append(pixels)
        progress(len(images), len(views), "decoding pictures")
        k = scale_intrinsics(_tensor(view.intrinsics), old, (pixels.shape[0], pixels.shape[1]))
        intrinsics.append(k.numpy().astype(np.float32))
    if any(image.shape[-1] == 4 for image in images):
        images = [image if image.shape[-1] == 4 else _opaque(image) for image in images]
    things = list(dict.fromkeys(view.thing for view in views))
    arrays = {
        "images": np.stack(images),
        "pose": np.stack([view.pose for view in views]).astype(np.float32),
        "intrinsics": np.stack(intrinsics),
        "object": np.array([things.index(view.thing) for view in views], np.int32),
        "split": np.array([view.test for view in views], np.uint8),
    }
    if not arrays["split"].any():
        del arrays["split"]
    return arrays


def _tensor(array: np.ndarray) -> Any:
    import torch

    return torch.from_numpy(array.astype(np.float64))


def _size_of(data: bytes, what: str) -> tuple[int, int]:
    with Image.open(io.BytesIO(data)) as image:  # its header alone; it was decoded before
        return image.height, image.width


def _opaque(image: np.ndarray) -> np.ndarray:
    return np.concatenate([image, np.full_like(image[..., :1], 255)], -1)
