"""Importers of posed pictures: SRN's folders, NeRF-synthetic scenes, and any pictures with a file of cameras."""

import json
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any, final

import attrs
import numpy as np
import torch

from inrkit import DataError, Entries, Imported, Importer, Progress, open_entries, option, parse_size
from inrkit_nerf.cameras import CONVENTIONS, check_range, pinhole, to_opencv
from inrkit_nerf.formats.hull import box_of
from inrkit_nerf.formats.posed import View, checked, stacked


@attrs.frozen(kw_only=True)
class ViewOptions:
    """What every format has."""

    size: str | None = option(None, "resize all pictures to WIDTHxHEIGHT, such as 64x64")
    views: int | None = option(None, "maximum number of views of each object, spread evenly")
    limit: int | None = option(None, "maximum number of objects")


@final
class SrnImporter(Importer):
    """OBJECT/{rgb/*.png, pose/*.txt, intrinsics.txt}, objects in folders whose name tells training from testing."""

    name = "srn"
    summary = "folders of scene representation networks (SRN cars and chairs)"
    modality = "nerf"
    Options = ViewOptions

    def run(self, source: Path, options: ViewOptions, progress: Progress) -> Imported:
        with open_entries(source) as entries:
            names = entries.names()
            folders = sorted(str(PurePosixPath(n).parent) for n in names if PurePosixPath(n).name == "intrinsics.txt")
            if not folders:
                raise DataError(f"{source}: expected folders with 'intrinsics.txt', 'rgb' and 'pose', found none")
            wanted = _spread(folders, options.limit)
            texts = _texts(entries, [n for n in names if n.endswith(".txt") and _folder(n) in set(wanted)])
            views = [view for folder in wanted for view in _srn_object(folder, names, texts, options.views)]
            return _imported(self.name, source, entries, views, options, progress)


def _folder(name: str) -> str:
    path = PurePosixPath(name)
    return str(path.parent.parent if path.parent.name in ("pose", "rgb") else path.parent)


def _srn_object(folder: str, names: list[str], texts: dict[str, str], most: int | None) -> Iterable[View]:
    thing = PurePosixPath(folder).name
    numbers = _numbers(texts[f"{folder}/intrinsics.txt"], f"{folder}/intrinsics.txt")
    if len(numbers) < 9:
        raise DataError(
            f"{folder}/intrinsics.txt: expected f cx cy, a centre, a scale and H W, found {len(numbers)} numbers"
        )
    focal, x, y = numbers[:3]
    test = any("test" in part or "val" in part for part in PurePosixPath(folder).parts[:-1])
    pictures = [name for name in names if name.startswith(f"{folder}/rgb/")]
    if not pictures:
        raise DataError(f"{thing}: expected pictures in '{folder}/rgb', found none")
    for picture in _spread(pictures, most):
        file = f"{folder}/pose/{PurePosixPath(picture).stem}.txt"
        if file not in texts:
            raise DataError(f"{thing}: expected the pose of '{picture}' in '{file}', found no such file")
        pose = np.array(_numbers(texts[file], file))
        if pose.size != 16:
            raise DataError(f"{file}: expected 16 numbers, a pose row by row, found {pose.size}")
        yield View(thing, picture, pose.reshape(4, 4), np.array([focal, focal, x, y]), test)


@final
class NerfSyntheticImporter(Importer):
    """SCENE/{transforms_train.json, transforms_test.json, train/*.png, test/*.png}, one scene or several."""

    name = "nerf-synthetic"
    summary = "scenes with transforms_*.json, as NeRF's synthetic ones and Blender exports have them"
    modality = "nerf"
    Options = ViewOptions

    def run(self, source: Path, options: ViewOptions, progress: Progress) -> Imported:
        with open_entries(source) as entries:
            names = entries.names()
            found = [n for n in names if PurePosixPath(n).name in ("transforms_train.json", "transforms_test.json")]
            found = found or [n for n in names if PurePosixPath(n).name == "transforms.json"]
            if not found:
                raise DataError(f"{source}: expected 'transforms_train.json' or 'transforms.json', found neither")
            texts = _texts(entries, found)
            views = [v for name in sorted(found) for v in _scene(name, texts[name], set(names), entries, options.views)]
            return _imported(self.name, source, entries, views, options, progress)


def _scene(name: str, text: str, names: set[str], entries: Entries, most: int | None) -> Iterable[View]:
    """The views of one file. Training and test views of a scene become an object each, in their own split."""
    table, folder = _json(text, name), PurePosixPath(name).parent
    try:
        angle, frames = float(table["camera_angle_x"]), list(table["frames"])
        listed = [(str(frame["file_path"]), np.array(frame["transform_matrix"], np.float64)) for frame in frames]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{name}: expected 'camera_angle_x' and 'frames' with 'file_path' and 'transform_matrix', found: {error!r}"
        ) from error
    test = "test" in PurePosixPath(name).stem
    thing = (folder.name or "scene") + (" (test views)" if test else "")
    for path, pose in _spread(listed, most):
        file = str(folder / path.removeprefix("./"))
        file = file if file in names else f"{file}.png"
        if file not in names:
            raise DataError(f"{thing}: expected the picture '{file}' that '{name}' lists, found no such file")
        width, height = _dimensions(entries.read_one(file), f"{thing}: {file}")
        # focal length W / (2 tan(angle / 2)), in image widths
        intrinsics = pinhole((height, width), 0.5 / float(np.tan(angle / 2))).double().numpy()
        if pose.shape != (4, 4):
            raise DataError(f"{thing}: {file}: expected a pose of 4 x 4 numbers, found shape {pose.shape}")
        yield View(thing, file, to_opencv(torch.from_numpy(pose), "nerf-synthetic").numpy(), intrinsics, test)


@final
class PosedImagesImporter(Importer):
    """Pictures and a file ``cameras.json`` that says where each was taken from."""

    name = "posed-images"
    summary = "pictures with a file cameras.json; see docs/data.md"
    modality = "nerf"
    Options = ViewOptions

    def run(self, source: Path, options: ViewOptions, progress: Progress) -> Imported:
        with open_entries(source) as entries:
            views, given = posed_views(source, entries)
            return _imported(self.name, source, entries, views, options, progress, given)


def posed_views(source: Path, entries: Entries) -> tuple[list[View], dict[str, Any]]:
    """The views that ``cameras.json`` lists, and the box if it gives one."""
    names = entries.names()
    found = [n for n in names if PurePosixPath(n).name == "cameras.json"]
    if len(found) != 1:
        raise DataError(f"{source}: expected one file 'cameras.json', found {len(found)}")
    table, folder = _json(_texts(entries, found)[found[0]], found[0]), PurePosixPath(found[0]).parent
    convention = table.get("convention", "opencv")
    if convention not in CONVENTIONS:
        raise DataError(
            f"{found[0]}: expected 'convention' to be one of {', '.join(CONVENTIONS)}, found '{convention}'"
        )
    if "near" in table or "far" in table:
        check_range(float(table.get("near", 0)), float(table.get("far", np.inf)), found[0], DataError)
    views = []
    for i, entry in enumerate(table.get("images", [])):
        missing = [key for key in ("file", "pose", "intrinsics") if key not in entry]
        if missing:
            raise DataError(f"{found[0]}: image {i}: expected 'file', 'pose' and 'intrinsics', found no '{missing[0]}'")
        file = str(folder / entry["file"])
        if file not in names:
            raise DataError(f"{found[0]}: image {i}: expected the picture '{file}', found no such file")
        pose = np.array(entry["pose"], np.float64)
        if pose.shape != (4, 4):
            raise DataError(f"{file}: expected a pose of 4 x 4 numbers, found shape {pose.shape}")
        pose = to_opencv(torch.from_numpy(pose), convention).numpy()
        thing = str(entry.get("object", source.name))
        views.append(View(thing, file, pose, np.array(entry["intrinsics"], np.float64), entry.get("split") == "test"))
    if not views:
        raise DataError(f"{found[0]}: expected a list 'images', found none")
    return sorted(views, key=lambda view: (view.thing, view.test)), {k: table[k] for k in ("box",) if k in table}


# ---------------------------------------------------------------------------------------------- parts


def _imported(
    name: str,
    source: Path,
    entries: Entries,
    views: list[View],
    options: ViewOptions,
    progress: Progress,
    given: dict[str, Any] | None = None,
) -> Imported:
    size = None if options.size is None else parse_size(options.size, 2)
    views = [checked(view) for view in views]
    read: dict[str, bytes] = {}
    for i, (file, data) in enumerate(entries.read([view.file for view in views])):
        if isinstance(data, DataError):
            raise data
        read[file] = data
        progress(i + 1, len(views), "reading pictures")
    arrays = stacked(views, read, None if size is None else (size[0], size[1]), progress)
    things = list(dict.fromkeys(view.thing for view in views))
    attributes = {"title": source.name.split(".")[0], "format": name, "objects": things, **_cameras_of(arrays)}
    return Imported("nerf", arrays, attributes | {"box": box_of(arrays, things, progress)} | (given or {}))


def _cameras_of(arrays: dict[str, np.ndarray]) -> dict[str, float]:
    """What a camera of these data is like: its distance from the origin, and its focal length in image widths."""
    distance = np.linalg.norm(arrays["pose"][:, :3, 3], axis=1)
    focal = arrays["intrinsics"][:, 0] / arrays["images"].shape[2]
    return {"radius": float(np.median(distance)), "focal": float(np.median(focal))}


def _spread(items: list[Any], most: int | None) -> list[Any]:
    if most is None or most >= len(items):
        return items
    return [items[i * len(items) // most] for i in range(most)]


def _texts(entries: Entries, names: list[str]) -> dict[str, str]:
    found = {}
    for name, data in entries.read(names):
        if isinstance(data, DataError):
            raise data
        try:
            found[name] = data.decode()
        except UnicodeDecodeError as error:
            raise DataError(f"{name}: expected a text file, found: {error.reason}") from error
    return found


def _numbers(text: str, name: str) -> list[float]:
    try:
        return [float(word) for word in text.split()]
    except ValueError as error:
        raise DataError(f"{name}: expected numbers, found: {error}") from error


def _json(text: str, name: str) -> dict[str, Any]:
    try:
        table = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name}: expected JSON, found: {error}") from error
    if not isinstance(table, dict):
        raise DataError(f"{name}: expected a JSON object, found a {type(table).__name__}")
    return table


def _dimensions(data: bytes, what: str) -> tuple[int, int]:
    import io

    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.size
    except (OSError, UnidentifiedImageError) as error:
        raise DataError(f"{what}: expected a picture, found: {error}") from error
