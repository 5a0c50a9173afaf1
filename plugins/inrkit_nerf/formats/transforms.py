"""Importers of ``transforms.json``: the cameras of NeRF's synthetic scenes, of instant-ngp and of nerfstudio."""

import abc
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, final

import numpy as np
import torch

from inrkit import DataError, Entries
from inrkit_nerf.cameras import focal_of, to_opencv
from inrkit_nerf.formats.importing import (
    ViewImporter,
    ViewOptions,
    check_planes,
    held_out,
    json_of,
    matrix_in,
    number_in,
    read_texts,
    tested,
)
from inrkit_nerf.formats.lens import COEFFICIENTS, Lens, lens_of
from inrkit_nerf.formats.posed import Posed, View, dimensions, each_once, spread

_SPLIT = ("transforms_train.json", "transforms_test.json")
_WHOLE = "transforms.json"
# What programs write of lenses, whether we know it or not.
_LENS = re.compile(r"k\d+$|p\d+$|s\d+$|s[xy]\d$|omega$|xi$|alpha$|distort|ftheta|is_equirect|is_latlong|fisheye_crop")


class _Transforms(ViewImporter, abc.ABC):
    """Scenes of either sort; training and test views of a scene become an object each, in their own split."""

    @final
    def find(self, source: Path, entries: Entries, options: ViewOptions) -> Posed:
        names = entries.names()
        found = [name for name in names if PurePosixPath(name).name in _SPLIT]
        found = found or [name for name in names if PurePosixPath(name).name == _WHOLE]
        if not found:
            raise DataError(f"{source}: expected '{_SPLIT[0]}' or '{_WHOLE}', found neither")
        scenes = sorted({str(PurePosixPath(name).parent) for name in found})
        chosen = set(spread(scenes, options.limit))
        listed = [name for name in found if str(PurePosixPath(name).parent) in chosen]
        views: list[View] = []
        given: dict[str, Any] = {}
        for name, text in read_texts(entries, listed).items():
            file = _File(name, json_of(text, name), source.name, set(names), entries)
            views += spread(list(file.views()), options.views)
            if len(found) == 1 and "applied_transform" in file.table:
                given["applied_transform"] = matrix_in(file.table["applied_transform"], name).tolist()
        return Posed.of(views, given)


@final
class NerfSyntheticImporter(_Transforms):
    """SCENE/{transforms_train.json, transforms_test.json, train/*.png, test/*.png}, one scene or several."""

    name = "nerf-synthetic"
    summary = "scenes with transforms_train.json and transforms_test.json, as NeRF's synthetic ones"


@final
class NerfstudioImporter(_Transforms):
    """SCENE/{transforms.json, images/*}, one scene or several."""

    name = "nerfstudio"
    summary = "scenes with one transforms.json, as nerfstudio and instant-ngp have them"


@final
class _File:
    """One of these files."""

    def __init__(self, name: str, table: dict[str, Any], source: str, names: set[str], entries: Entries) -> None:
        self.name, self.table, self.names, self.entries = name, table, names, entries
        self.folder = PurePosixPath(name).parent
        self.test = "test" in PurePosixPath(name).stem
        self.thing = self.folder.name or source.split(".")[0]
        check_planes(table, name)

    def views(self) -> Iterable[View]:
        frames = self.table.get("frames")
        if not isinstance(frames, list) or not frames or not all(isinstance(frame, dict) for frame in frames):
            raise DataError(f"{self.name}: expected 'frames', a list of JSON objects, found {_brief(frames)}")
        views = each_once([self._view(i, frame) for i, frame in enumerate(frames)])
        inside = self._held()
        for file in sorted(inside - {view.file for view in views}):
            raise DataError(f"{self.thing}: expected the frame '{file}' that 'test_filenames' lists, found none of it")
        if self.test or inside:
            return [tested(view) if self.test or view.file in inside else view for view in views]
        return held_out(views) if PurePosixPath(self.name).name == _WHOLE else views

    def _held(self) -> set[str]:
        """The files that the table itself holds out."""
        listed = self.table.get("test_filenames") or []
        if not isinstance(listed, list) or not all(isinstance(path, str) for path in listed):
            raise DataError(f"{self.name}: expected 'test_filenames' as a list of paths, found {listed!r}")
        return {str(self.folder / path.removeprefix("./")) for path in listed}

    def _view(self, number: int, frame: Mapping[str, Any]) -> View:
        for key in ("file_path", "transform_matrix"):
            if key not in frame:
                raise DataError(f"{self.name}: frame {number}: expected 'file_path' and 'transform_matrix', no '{key}'")
        file = str(self.folder / str(frame["file_path"]).removeprefix("./"))
        if file not in self.names and (f"{file}.png" in self.names or not PurePosixPath(file).suffix):
            file = f"{file}.png"
        if file not in self.names:
            raise DataError(f"{self.thing}: expected the picture '{file}' that '{self.name}' lists, found no such file")
        what = f"{self.thing}: {file}"
        pose = to_opencv(torch.from_numpy(matrix_in(frame["transform_matrix"], what)), "opengl").numpy()
        intrinsics, size, lens = self._camera({**self.table, **frame}, file, what)
        return View(self.thing, file, pose, intrinsics, size=size, lens=lens)

    def _camera(self, table: dict[str, Any], file: str, what: str) -> tuple[np.ndarray, tuple[int, int] | None, Lens]:
        """Intrinsics, the size that they are of, and the lens: of this frame, or of all."""
        found = {key: number_in(table, key, what) for key in ("w", "h", "fl_x", "fl_y", "cx", "cy")}
        angles = [number_in(table, f"camera_angle_{axis}", what) for axis in "xy"]
        if found["fl_x"] is None and angles[0] is None:
            raise DataError(f"{what}: expected 'fl_x' or 'camera_angle_x' in '{self.name}', found neither")
        w, h = found["w"], found["h"]
        if w is None or h is None:
            h, w = dimensions(self.entries.read_one(file), what)
        fx, fy = found["fl_x"], found["fl_y"]
        if fy is None:
            fy = _focal(h, angles[1], what) if fx is None and angles[1] is not None else fx
        fx = _focal(w, angles[0], what) if fx is None else fx
        centre = [w / 2 if found["cx"] is None else found["cx"], h / 2 if found["cy"] is None else found["cy"]]
        for key in sorted(key for key in table if _LENS.match(key) and key not in COEFFICIENTS and table[key]):
            known = ", ".join(COEFFICIENTS)
            raise DataError(f"{what}: expected a lens by {known}, found '{key}'; undistort the pictures before")
        given = {key: number_in(table, key, what) or 0.0 for key in COEFFICIENTS if key in table}
        model = "OPENCV_FISHEYE" if table.get("is_fisheye") else str(table.get("camera_model", "OPENCV"))
        return np.array([fx, fx if fy is None else fy, *centre]), (int(h), int(w)), lens_of(model, given, what)


def _focal(size: float, angle: float | None, what: str) -> float:
    if angle is None or not 0 < angle < math.pi:
        raise DataError(f"{what}: expected a field of view from 0 to pi, in radians, found {angle}")
    return focal_of(angle, size)


def _brief(value: Any) -> str:
    return "none" if not value else f"a {type(value).__name__}"
