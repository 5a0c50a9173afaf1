"""Posed pictures as importers and commands find them in folders and archives, made one kind of thing."""

import io
import itertools
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar, final

import attrs
import numpy as np
import torch
from PIL import Image, UnidentifiedImageError

from inrkit import DataError
from inrkit_nerf.cameras import check_intrinsics, check_rigid, scale_intrinsics
from inrkit_nerf.formats.lens import PINHOLE, Lens, check_pinhole

_T = TypeVar("_T")

_OTHER_SIZE = 0.2  # how far, in image sizes, both centres may lie from the picture's before another size is suspected


@final
@attrs.frozen(eq=False)
class View:
    """One picture: which object it shows, its file, its pose (4, 4) and its intrinsics (4,), both OpenCV's.

    Args:
        size: Height and width that the intrinsics are of, where the source says so.
        category: The class of the object, where the source says so.
        scene: The object of which this is a test view, where others of it are for training.
    """

    thing: str
    file: str
    pose: np.ndarray
    intrinsics: np.ndarray
    test: bool = False
    size: tuple[int, int] | None = None
    lens: Lens = PINHOLE
    scene: str = ""
    category: str = ""

    @property
    def what(self) -> str:
        """How errors begin."""
        return f"{self.thing}: {self.file}"


@final
@attrs.frozen(eq=False)
class Posed:
    """What a source holds: how many pictures, the views of one object after the other, and attributes that it gives.

    Args:
        split: Whether the source says which objects are held out.
        classes: Names of the objects' classes, sorted; none where not every object has one, or all have the same.
    """

    count: int
    objects: Iterable[Sequence[View]]
    split: bool
    given: dict[str, Any] = attrs.field(factory=dict)
    classes: Sequence[str] = ()

    @classmethod
    def of(cls, views: Sequence[View], given: dict[str, Any] | None = None) -> "Posed":
        """Views in any order, checked before a picture is read."""
        ordered = sorted((checked(view) for view in views), key=lambda view: (view.thing, view.test))
        groups = [list(some) for _, some in itertools.groupby(ordered, key=lambda view: (view.thing, view.test))]
        classes = classes_of(view.category for view in ordered)
        return cls(len(ordered), groups, any(view.test for view in ordered), given or {}, classes)


def classes_of(categories: Iterable[str]) -> Sequence[str]:
    """The names of classes, if all objects have one and they are not all the same."""
    found = sorted(set(categories))
    return found if len(found) > 1 and all(found) else ()


def checked(view: View) -> View:
    """The view, or an error that names object and file."""
    check_rigid(view.pose, view.what)
    check_intrinsics(view.intrinsics, view.what)
    return view


def each_once(views: Sequence[View]) -> Sequence[View]:
    """The views that a file lists, or an error that names a picture with two poses."""
    known = Counter((view.thing, view.file) for view in views)
    for view in views:
        if known[view.thing, view.file] > 1:
            raise DataError(f"{view.what}: expected each picture with one pose, found it listed more than once")
    return views


def read_view(
    view: View, data: bytes, size: tuple[int, int] | None, *, undistort: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (H, W, 3 or 4) of a view as a pinhole sees it, resized if so wished, and its intrinsics at that size."""
    check_pinhole(view.lens, view.what, undistort=undistort)
    image = _opened(data, view.what)
    old = (image.height, image.width)
    _check_size(view, old)
    if view.lens.bends:
        image = image.convert("RGBa") if image.mode == "RGBA" else image
        mode, straight = image.mode, view.lens.undo(np.asarray(image), view.intrinsics)
        image = Image.frombytes(mode, image.size, straight.tobytes())
        image = image.convert("RGBA") if mode == "RGBa" else image
    pixels = _pixels(image, size)
    k = scale_intrinsics(torch.from_numpy(view.intrinsics.astype(np.float64)), old, pixels.shape[:2])
    return pixels, k.numpy().astype(np.float32)


def _check_size(view: View, found: tuple[int, int]) -> None:
    """`DataError` if the intrinsics are of a picture of another size, as far as can be seen."""
    if view.size is not None and view.size != found:
        raise DataError(
            f"{view.what}: expected a picture of {view.size[1]} x {view.size[0]}, the size of its intrinsics, found "
            f"{found[1]} x {found[0]}; scale one or the other"
        )
    centre = view.intrinsics[2] / found[1], view.intrinsics[3] / found[0]
    off = [value - 0.5 for value in centre]
    alike = abs(off[0] - off[1]) < 0.02 and abs(off[0]) > _OTHER_SIZE  # both by one factor, as no lens would have it
    if view.size is None and (not all(0 < value < 1 for value in centre) or alike):
        raise DataError(
            f"{view.what}: expected intrinsics of a picture of {found[1]} x {found[0]}, found its centre at "
            f"{view.intrinsics[2]:g}, {view.intrinsics[3]:g}; scale them, or give the size that they are of"
        )


def decode(data: bytes, what: str, size: tuple[int, int] | None) -> np.ndarray:
    """Pixels (H, W, 3 or 4) uint8, resized as a whole where ``size`` is given. Full opacity counts as none."""
    return _pixels(_opened(data, what), size)


def _opened(data: bytes, what: str) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image: Image.Image = Image.open(io.BytesIO(data))
            return image.convert("RGBA" if "A" in image.getbands() or "transparency" in image.info else "RGB")
    except UnidentifiedImageError as error:  # whose own words name an object of Python
        raise DataError(f"{what}: expected a picture, found a file of another sort, of {len(data):,} bytes") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise DataError(f"{what}: expected a picture, found: {error}") from error


def _pixels(image: Image.Image, size: tuple[int, int] | None) -> np.ndarray:
    if size is not None and (image.height, image.width) != size:
        # colours are weighed with opacity, lest those of invisible pixels bleed in
        image = image.convert("RGBa") if image.mode == "RGBA" else image
        image = image.resize((size[1], size[0]), Image.Resampling.BOX)
        image = image.convert("RGBA") if image.mode == "RGBa" else image
    pixels = np.asarray(image)
    return pixels[..., :3] if pixels.shape[-1] == 4 and (pixels[..., 3] == 255).all() else pixels


def dimensions(data: bytes, what: str) -> tuple[int, int]:
    """Height and width, from the header of a picture alone."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.height, image.width
    except (OSError, ValueError) as error:
        raise DataError(f"{what}: expected a picture, found: {error}") from error


def spread(items: Sequence[_T], most: int | None) -> Sequence[_T]:
    """At most so many of them, evenly."""
    if most is None or most >= len(items):
        return items
    return [items[i * len(items) // most] for i in range(most)]
