"""Posed pictures as importers and commands find them in folders and archives, made one kind of thing."""

import io
import warnings
from typing import Any, final

import attrs
import numpy as np
import torch
from PIL import Image

from inrkit import DataError, Entries, Progress, StoreWriter
from inrkit_nerf.cameras import Cameras, check_intrinsics, check_rigid, scale_intrinsics
from inrkit_nerf.formats.hull import Hull, foreground


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


def decode(data: bytes, what: str, size: tuple[int, int] | None) -> tuple[np.ndarray, tuple[int, int]]:
    """Pixels (H, W, 3 or 4) uint8, resized as a whole where ``size`` is given; and height and width in the file.

    Full opacity counts as none.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image: Image.Image = Image.open(io.BytesIO(data))
            image = image.convert("RGBA" if "A" in image.getbands() or "transparency" in image.info else "RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise DataError(f"{what}: expected a picture, found: {error}") from error
    old = (image.height, image.width)
    if size is not None and old != size:
        # colours are weighed with opacity, lest those of invisible pixels bleed in
        image = image.convert("RGBa") if image.mode == "RGBA" else image
        image = image.resize((size[1], size[0]), Image.Resampling.BOX)
        image = image.convert("RGBA") if image.mode == "RGBa" else image
    pixels = np.asarray(image)
    return (pixels[..., :3] if pixels.shape[-1] == 4 and (pixels[..., 3] == 255).all() else pixels), old


@final
class ViewAppender:
    """Appends objects to a store, view by view.

    Args:
        size: To resize the pictures to, if any.
        split: Whether the store says which objects are held out.
        hull: Is told what each object looks like.
    """

    def __init__(self, out: StoreWriter, size: tuple[int, int] | None, *, split: bool, hull: Hull | None) -> None:
        self.out, self._size, self._split, self._hull = out, size, split, hull
        self.names: list[str] = []
        self.focal: list[float] = []
        """Focal lengths in image widths."""
        self._form = (0, 0, 3)  # height, width and channels of the pictures in the store

    def add(self, entries: Entries, views: list[View], done: Progress) -> None:
        """All views of an object. An error names the object and the file where pictures differ in size."""
        looked_at = set(Hull.views(len(views)))
        masks, cameras, shown = [], [], False
        for number, (view, (_, data)) in enumerate(zip(views, entries.read([v.file for v in views]), strict=True)):
            if isinstance(data, DataError):
                raise data
            pixels, k = self._append(view, data)
            shown = shown or bool(foreground(pixels).any())
            if number in looked_at:
                masks.append(foreground(pixels))
                cameras.append((view.pose, k))
            done(len(self.out))
        self.names.append(views[0].thing)
        if self._hull is not None and not shown:
            expected = "expected an object before a white or transparent background"
            raise DataError(f"{views[0].thing}: {expected}, found nothing in its views")
        if self._hull is not None:
            pose, intrinsics = (torch.from_numpy(np.stack(part)).float() for part in zip(*cameras, strict=True))
            self._hull.add(Cameras(pose, intrinsics, masks[0].shape), torch.from_numpy(np.stack(masks)))

    def _append(self, view: View, data: bytes) -> tuple[np.ndarray, np.ndarray]:
        """The pixels of a view, and its intrinsics at the size that they have."""
        what = f"{view.thing}: {view.file}"
        pixels, old = decode(data, what, self._size)
        height, width, channels = pixels.shape
        if len(self.out) and (height, width) != self._form[:2]:
            a = f"{self._form[1]} x {self._form[0]}"
            found = f"expected pictures of {a} like the first, found {width} x {height}"
            raise DataError(f"{what}: {found}; give a 'size' for all")
        if channels > self._form[2]:  # beside pictures with opacity those without become opaque
            self.out.convert("images", _opaque)
        self._form = (height, width, max(channels, self._form[2]))
        k = scale_intrinsics(torch.from_numpy(view.intrinsics.astype(np.float64)), old, (height, width)).numpy()
        row: dict[str, Any] = {
            "images": pixels if channels == self._form[2] else _opaque(pixels),
            "pose": view.pose.astype(np.float32),
            "intrinsics": k.astype(np.float32),
            "object": np.int32(len(self.names)),
        }
        if self._split:
            row["split"] = np.uint8(view.test)
        self.out.append({name: values[None] for name, values in row.items()})
        self.focal.append(float(k[0]) / width)
        return pixels, k


def _opaque(pixels: np.ndarray) -> np.ndarray:
    """(..., 3) -> (..., 4)"""
    return np.concatenate([pixels, np.full_like(pixels[..., :1], 255)], -1)


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
