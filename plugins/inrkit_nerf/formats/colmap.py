"""Importer of COLMAP's models: cameras and images, in text or binary, beside a folder of pictures."""

import struct
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, final

import attrs
import numpy as np
import torch

from inrkit import DataError, Entries
from inrkit_nerf.cameras import from_world
from inrkit_nerf.formats.importing import ViewImporter, ViewOptions, held_out, numbers_of, read_texts
from inrkit_nerf.formats.lens import Lens, lens_of
from inrkit_nerf.formats.posed import Posed, View, spread

# Names of the models by their number in binary files, and of their parameters; f stands for both focal lengths.
_MODELS: tuple[tuple[str, str], ...] = (
    ("SIMPLE_PINHOLE", "f cx cy"),
    ("PINHOLE", "fx fy cx cy"),
    ("SIMPLE_RADIAL", "f cx cy k1"),
    ("RADIAL", "f cx cy k1 k2"),
    ("OPENCV", "fx fy cx cy k1 k2 p1 p2"),
    ("OPENCV_FISHEYE", "fx fy cx cy k1 k2 k3 k4"),
    ("FULL_OPENCV", "fx fy cx cy k1 k2 p1 p2 k3 k4 k5 k6"),
    ("FOV", "fx fy cx cy omega"),
    ("SIMPLE_RADIAL_FISHEYE", "f cx cy k1"),
    ("RADIAL_FISHEYE", "f cx cy k1 k2"),
    ("THIN_PRISM_FISHEYE", "fx fy cx cy k1 k2 p1 p2 k3 k4 sx1 sy1"),
)
_PARAMETERS: Mapping[str, str] = dict(_MODELS)


@final
@attrs.frozen(eq=False)
class _Camera:
    intrinsics: np.ndarray
    size: tuple[int, int]
    lens: Lens


@final
@attrs.frozen(eq=False)
class _Image:
    name: str
    rotation: tuple[float, ...]  # quaternion, w first
    translation: tuple[float, ...]
    camera: int


@final
class ColmapImporter(ViewImporter):
    """SCENE/{sparse/0/cameras.bin, sparse/0/images.bin, images/*}, or the same in text, wherever the model lies."""

    name = "colmap"
    summary = "models of COLMAP, text or binary, and their pictures"

    def find(self, source: Path, entries: Entries, options: ViewOptions) -> Posed:
        names = entries.names()
        models: dict[str, str] = {}  # by scene: of several models the first
        for name in names:
            path = PurePosixPath(name)
            if path.name in ("images.bin", "images.txt") and str(path.with_stem("cameras")) in names:
                models.setdefault(_scene(path.parent), name)
        if not models:
            raise DataError(f"{source}: expected 'cameras.bin' and 'images.bin', or both as .txt, found no such pair")
        views: list[View] = []
        for scene in spread(sorted(models), options.limit):
            thing = PurePosixPath(scene).name or source.name.split(".")[0]
            found = list(_views(thing, scene, models[scene], names, entries))
            views += held_out(spread(found, options.views))
        return Posed.of(views)


def _scene(folder: PurePosixPath) -> str:
    """The folder of the scene whose model is in this folder."""
    parts = folder.parts[:-1] if folder.name.isdecimal() else folder.parts
    parts = parts[:-1] if parts and parts[-1] in ("sparse", "colmap", "distorted") else parts
    return "/".join(parts[:-1] if parts and parts[-1] in ("colmap", "distorted") else parts)


def _views(thing: str, scene: str, model: str, names: list[str], entries: Entries) -> Iterable[View]:
    about = str(PurePosixPath(model).with_stem("cameras"))
    if model.endswith(".bin"):
        cameras = _binary_cameras(_Bytes(entries.read_one(about), about))
        images = _binary_images(_Bytes(entries.read_one(model), model))
    else:
        texts = read_texts(entries, [about, model])
        cameras, images = _text_cameras(texts[about], about), _text_images(texts[model], model)
    known, ordered = set(names), sorted(images, key=lambda image: image.name)
    if not ordered:
        raise DataError(f"{thing}: expected images with their poses in '{model}', found none")
    for image in ordered:
        prefix = f"{scene}/" if scene else ""
        file = next((f for f in (f"{prefix}images/{image.name}", f"{prefix}{image.name}") if f in known), None)
        if file is None:
            raise DataError(
                f"{thing}: expected the picture '{image.name}' of '{model}' in '{prefix}images', found no such file"
            )
        if image.camera not in cameras:
            raise DataError(f"{thing}: {file}: expected camera {image.camera} in '{about}', found no such camera")
        camera = cameras[image.camera]
        pose = from_world(*(torch.tensor(x, dtype=torch.float64) for x in (image.rotation, image.translation)))
        yield View(thing, file, pose.numpy(), camera.intrinsics, size=camera.size, lens=camera.lens)


def _camera(model: str, width: float, height: float, values: Iterable[float], what: str) -> _Camera:
    given, keys = list(values), _PARAMETERS.get(model, "").split()
    if not keys or len(keys) != len(given):
        expected = f"the {len(keys)} parameters {' '.join(keys)}" if keys else f"one of {', '.join(_PARAMETERS)}"
        raise DataError(f"{what}: expected {expected}, found the lens '{model}' with {len(given)} parameters")
    found = dict(zip(keys, given, strict=True))
    focal = [found.pop("fx", None) or found["f"], found.pop("fy", None) or found["f"]]
    found.pop("f", None)
    intrinsics = np.array([*focal, found.pop("cx"), found.pop("cy")])
    return _Camera(intrinsics, (int(height), int(width)), lens_of(model, found, what))


# ---------------------------------------------------------------------------------------------- text


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith("#")]


def _text_cameras(text: str, name: str) -> dict[int, _Camera]:
    """Lines of CAMERA_ID MODEL WIDTH HEIGHT PARAMETERS."""
    cameras = {}
    for line in filter(str.strip, _lines(text)):
        words = line.split()
        if len(words) < 5:
            raise DataError(f"{name}: expected lines of number, model, width, height and parameters, found '{line}'")
        number, width, height, *values = numbers_of(" ".join([words[0], *words[2:]]), name)
        cameras[int(number)] = _camera(words[1], width, height, values, f"{name}: camera {words[0]}")
    return cameras


def _text_images(text: str, name: str) -> Iterable[_Image]:
    """Two lines each: IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME, and points, which may be none."""
    lines = iter(_lines(text))
    for line in lines:
        if not line.strip():
            continue
        words = line.split(maxsplit=9)
        if len(words) < 10:
            raise DataError(f"{name}: expected lines of ten words, an image each, and of its points, found '{line}'")
        _, *values, camera = numbers_of(" ".join(words[:9]), name)
        yield _Image(words[9].strip(), tuple(values[:4]), tuple(values[4:]), int(camera))
        next(lines, None)


# ---------------------------------------------------------------------------------------------- binary


@final
class _Bytes:
    """A file, read from the front."""

    def __init__(self, data: bytes, name: str) -> None:
        self.data, self.name, self.at = data, name, 0

    def take(self, form: str) -> tuple[Any, ...]:
        size = struct.calcsize(f"<{form}")
        if self.at + size > len(self.data):
            raise DataError(f"{self.name}: expected COLMAP's binary format, found its end after {len(self.data)} bytes")
        values = struct.unpack_from(f"<{form}", self.data, self.at)
        self.at += size
        return values

    def text(self) -> str:
        end = self.data.find(b"\0", self.at)
        text = self.data[self.at : max(end, self.at)]
        self.at = len(self.data) + 1 if end < 0 else end + 1
        return text.decode(errors="backslashreplace")


def _binary_cameras(file: _Bytes) -> dict[int, _Camera]:
    cameras = {}
    for _ in range(file.take("Q")[0]):
        number, model, width, height = file.take("iiQQ")
        if not 0 <= model < len(_MODELS):
            raise DataError(f"{file.name}: camera {number}: expected a model below {len(_MODELS)}, found {model}")
        name, keys = _MODELS[model]
        values = file.take(f"{len(keys.split())}d")
        cameras[number] = _camera(name, width, height, values, f"{file.name}: camera {number}")
    return cameras


def _binary_images(file: _Bytes) -> Iterable[_Image]:
    for _ in range(file.take("Q")[0]):
        _, *values, camera = file.take("i7di")
        yield _Image(file.text(), tuple(values[:4]), tuple(values[4:]), camera)
        points = file.take("Q")[0]  # x, y and the number of one in space each
        file.at += 24 * points
