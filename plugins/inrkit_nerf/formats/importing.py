"""Importers of posed pictures: SRN's folders, NeRF-synthetic scenes, and any pictures with a file of cameras."""

import abc
import bisect
import functools
import itertools
import json
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, final

import attrs
import numpy as np
import torch

from inrkit import DataError, Entries, Importer, Progress, StoreWriter, open_entries, option, parse_size
from inrkit_nerf.cameras import CONVENTIONS, check_range, from_nerf_synthetic, to_opencv
from inrkit_nerf.formats.hull import Hull
from inrkit_nerf.formats.posed import View, ViewAppender, checked, dimensions, spread


@attrs.frozen(kw_only=True)
class ViewOptions:
    """What every format has."""

    size: str | None = option(None, "resize all pictures to WIDTHxHEIGHT, such as 64x64")
    views: int | None = option(None, "maximum number of views of each object, spread evenly")
    limit: int | None = option(None, "maximum number of objects")


class ViewImporter(Importer, abc.ABC):
    """Pictures whose cameras are known, in any layout."""

    modality: ClassVar[str] = "nerf"
    Options: ClassVar[type] = ViewOptions

    @abc.abstractmethod
    def views(self, source: Path, entries: Entries, options: ViewOptions) -> tuple[list[View], dict[str, Any]]:
        """The views in the order of their objects, and attributes that the source itself gives."""

    @final
    def run(self, source: Path, out: StoreWriter, options: ViewOptions, progress: Progress) -> None:
        size = None if options.size is None else parse_size(options.size, 2)
        with open_entries(source) as entries:
            views, given = self.views(source, entries, options)
            pose = np.stack([checked(view).pose for view in views]).astype(np.float32)
            hull = None if "box" in given else Hull(torch.from_numpy(pose))
            split = any(view.test for view in views)
            added = ViewAppender(out, None if size is None else (size[0], size[1]), split=split, hull=hull)
            told = functools.partial(progress, total=len(views), what="reading pictures")
            for _, group in itertools.groupby(views, key=lambda view: (view.thing, view.test)):
                added.add(entries, list(group), told)
        # what a camera of these data is like: its distance from the origin, and its focal length in image widths
        distance = np.linalg.norm(pose[:, :3, 3], axis=1)
        found = {"radius": float(np.median(distance)), "focal": float(np.median(added.focal))}
        box = {} if hull is None else {"box": hull.box()}
        title = {"title": source.name.split(".")[0], "format": self.name, "objects": added.names}
        out.attributes.update({**title, **found, **box, **given})


@final
class SrnImporter(ViewImporter):
    """OBJECT/{rgb/*.png, pose/*.txt, intrinsics.txt}, objects in folders whose name tells training from testing."""

    name = "srn"
    summary = "folders of scene representation networks (SRN cars and chairs)"

    def views(self, source: Path, entries: Entries, options: ViewOptions) -> tuple[list[View], dict[str, Any]]:
        names = entries.names()
        folders = sorted(str(PurePosixPath(n).parent) for n in names if PurePosixPath(n).name == "intrinsics.txt")
        if not folders:
            raise DataError(f"{source}: expected folders with 'intrinsics.txt', 'rgb' and 'pose', found none")
        wanted = spread(folders, options.limit)
        return [view for folder in wanted for view in _srn_object(folder, names, entries, options.views)], {}


def _inside(names: list[str], folder: str) -> list[str]:
    """Those of the sorted names that lie in a folder."""
    low, high = (bisect.bisect_left(names, folder + end) for end in ("/", chr(ord("/") + 1)))
    return names[low:high]


def _srn_object(folder: str, names: list[str], entries: Entries, most: int | None) -> Iterable[View]:
    thing = PurePosixPath(folder).name
    poses = [name for name in _inside(names, f"{folder}/pose") if name.endswith(".txt")]
    texts = _texts(entries, [f"{folder}/intrinsics.txt", *poses])
    numbers = _numbers(texts[f"{folder}/intrinsics.txt"], f"{folder}/intrinsics.txt")
    if len(numbers) < 9:
        raise DataError(
            f"{folder}/intrinsics.txt: expected f cx cy, a centre, a scale and H W, found {len(numbers)} numbers"
        )
    focal, x, y = numbers[:3]
    intrinsics = np.array([focal, focal, x, y])  # one for all views, of which there may be very many
    test = any("test" in part or "val" in part for part in PurePosixPath(folder).parts[:-1])
    pictures = _inside(names, f"{folder}/rgb")
    if not pictures:
        raise DataError(f"{thing}: expected pictures in '{folder}/rgb', found none")
    for picture in spread(pictures, most):
        file = f"{folder}/pose/{PurePosixPath(picture).stem}.txt"
        if file not in texts:
            raise DataError(f"{thing}: expected the pose of '{picture}' in '{file}', found no such file")
        row = _numbers(texts[file], file)
        if len(row) != 16:
            raise DataError(f"{file}: expected 16 numbers, a pose row by row, found {len(row)}")
        yield View(thing, picture, np.array([row[i : i + 4] for i in (0, 4, 8, 12)]), intrinsics, test)


@final
class NerfSyntheticImporter(ViewImporter):
    """SCENE/{transforms_train.json, transforms_test.json, train/*.png, test/*.png}, one scene or several."""

    name = "nerf-synthetic"
    summary = "scenes with transforms_*.json, as NeRF's synthetic ones and Blender exports have them"

    def views(self, source: Path, entries: Entries, options: ViewOptions) -> tuple[list[View], dict[str, Any]]:
        names = entries.names()
        found = [n for n in names if PurePosixPath(n).name in ("transforms_train.json", "transforms_test.json")]
        found = found or [n for n in names if PurePosixPath(n).name == "transforms.json"]
        if not found:
            raise DataError(f"{source}: expected 'transforms_train.json' or 'transforms.json', found neither")
        texts = _texts(entries, sorted(found))
        scenes = (_scene(name, texts[name], set(names), entries, options.views) for name in sorted(found))
        return [view for scene in scenes for view in scene], {}


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
    for path, pose in spread(listed, most):
        file = str(folder / path.removeprefix("./"))
        file = file if file in names else f"{file}.png"
        if file not in names:
            raise DataError(f"{thing}: expected the picture '{file}' that '{name}' lists, found no such file")
        what = f"{thing}: {file}"
        camera = from_nerf_synthetic(_checked_pose(pose, what), angle, dimensions(entries.read_one(file), what))
        yield View(thing, file, camera.pose.numpy(), camera.intrinsics.numpy(), test)


@final
class PosedImagesImporter(ViewImporter):
    """Pictures and a file ``cameras.json`` that says where each was taken from."""

    name = "posed-images"
    summary = "pictures with a file cameras.json; see docs/data.md"

    def views(self, source: Path, entries: Entries, options: ViewOptions) -> tuple[list[View], dict[str, Any]]:
        return posed_views(source, entries)


def posed_views(source: Path, entries: Entries) -> tuple[list[View], dict[str, Any]]:
    """The views that ``cameras.json`` lists, and the box if it gives one."""
    names = entries.names()
    found = [n for n in names if PurePosixPath(n).name == "cameras.json"]
    if len(found) != 1:
        raise DataError(f"{source}: expected one file 'cameras.json', found {len(found)}")
    table, folder = _json(_texts(entries, found)[found[0]], found[0]), PurePosixPath(found[0]).parent
    known = set(names)
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
        if file not in known:
            raise DataError(f"{found[0]}: image {i}: expected the picture '{file}', found no such file")
        pose = to_opencv(_checked_pose(np.array(entry["pose"], np.float64), file), convention).numpy()
        thing = str(entry.get("object", source.name))
        views.append(View(thing, file, pose, np.array(entry["intrinsics"], np.float64), entry.get("split") == "test"))
    if not views:
        raise DataError(f"{found[0]}: expected a list 'images', found none")
    return sorted(views, key=lambda view: (view.thing, view.test)), {k: table[k] for k in ("box",) if k in table}


# ---------------------------------------------------------------------------------------------- parts


def _contents(entries: Entries, names: list[str]) -> Iterable[tuple[str, bytes]]:
    for name, data in entries.read(names):
        if isinstance(data, DataError):
            raise data
        yield name, data


def _texts(entries: Entries, names: list[str]) -> dict[str, str]:
    found = {}
    for name, data in _contents(entries, names):
        try:
            found[name] = data.decode()
        except UnicodeDecodeError as error:
            raise DataError(f"{name}: expected a text file, found: {error.reason}") from error
    return found


def _checked_pose(pose: np.ndarray, what: str) -> torch.Tensor:
    if pose.shape != (4, 4):
        raise DataError(f"{what}: expected a pose of 4 x 4 numbers, found shape {pose.shape}")
    return torch.from_numpy(pose)


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
